using System.CommandLine;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr alert heartbeat</c>.</summary>
internal sealed class AlertHeartbeatCommand : CliCommand
{
    private readonly Option<TimeSpan?> _timeout = BackupArguments.NewDuration("--timeout", "How long it is tried. Default: 2m.");

    public AlertHeartbeatCommand(CliHost host)
        : base(host, "heartbeat", "Tells the site's dead man's switch that all is well; it raises an alarm when it is not told any more.")
    {
        Options.Add(_timeout);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        DeliveryOptions options = new();
        AlertSender sender = new(await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false), context.Secrets, context.CreatePlainObserver());
        return AlertOutput.Write(
            context,
            [await sender.SendHeartbeatAsync(options with { Timeout = context.Parsed.GetValue(_timeout) ?? options.Timeout }, cancellationToken).ConfigureAwait(false)]);
    }
}
