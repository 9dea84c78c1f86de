using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr metrics</c>.</summary>
internal sealed class MetricsCommand : CliCommand
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(15);

    private readonly Option<string> _listen = new("--listen")
    {
        Description = "The address and port, such as 127.0.0.1:9817. There is no password: let only Prometheus reach it.",
        HelpName = "ADDRESS:PORT",
        Required = true,
    };

    private readonly Option<TimeSpan?> _interval = BackupArguments.NewDuration("--interval", "The pause between two measurements. Default: 15s.");
    private readonly Option<bool> _offline = new("--offline") { Description = "Do not ask the server what would be lost now." };

    public MetricsCommand(CliHost host)
        : base(host, "metrics", "Serves what holds of the site's objectives to Prometheus, until it is stopped.")
    {
        Options.Add(_listen);
        Options.Add(_interval);
        Options.Add(_offline);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        IOperationObserver observer = context.CreatePlainObserver();
        System.Net.IPEndPoint address = MetricsServer.ParseAddress(context.Parsed.GetValue(_listen)!);
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        ObjectiveMeter meter = new(site, context.Secrets, context.Parsed.GetValue(_offline), observer);
        MetricsServer server = new(site.Name, meter.MeasureAsync, context.Parsed.GetValue(_interval) ?? s_interval, observer);
        CurrentActivity.Name = "serving metrics";
        await server.RunAsync(address, uri => context.Host.Error.WriteLine($"Listening at {uri}"), cancellationToken).ConfigureAwait(false);
        await context.Host.Error.WriteLineAsync("Stopped. Nothing is left running.").ConfigureAwait(false);
        // It serves until it is stopped: a service manager must not take that for a failure.
        return ExitCodes.Success;
    }
}
