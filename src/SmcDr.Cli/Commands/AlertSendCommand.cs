using System.CommandLine;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr alert send</c>.</summary>
internal sealed class AlertSendCommand : CliCommand
{
    private const int MaximumInput = 64 << 10;

    private readonly Option<string> _title = new("--title") { Description = "What happened, in a line.", HelpName = "TEXT", Required = true };
    private readonly Option<string?> _text = new("--text") { Description = "More; - reads it from standard input.", HelpName = "TEXT" };
    private readonly Option<AlertSeverity> _severity = new("--severity")
    {
        Description = "How much it matters: information, warning, error or critical.",
        DefaultValueFactory = static _ => AlertSeverity.Error,
        CustomParser = static result =>
        {
            if (Enum.TryParse(result.Tokens[0].Value, ignoreCase: true, out AlertSeverity severity) && Enum.IsDefined(severity) &&
                !char.IsAsciiDigit(result.Tokens[0].Value[0]))
            {
                return severity;
            }

            result.AddError($"'{result.Tokens[0].Value}' is no severity; those are information, warning, error and critical.");
            return default;
        },
    };

    private readonly Option<AlertField[]> _fields = new("--field")
    {
        Description = "A fact that goes with it, as NAME=VALUE. May be given several times.",
        HelpName = "NAME=VALUE",
        DefaultValueFactory = static _ => [],
        Arity = ArgumentArity.OneOrMore,
        CustomParser = static result =>
        [
            .. result.Tokens.Select(token =>
            {
                int equals = token.Value.IndexOf('=', StringComparison.Ordinal);
                if (equals <= 0)
                {
                    // Not repeated: what somebody has mistyped may be a secret.
                    result.AddError("--field takes NAME=VALUE.");
                    return new AlertField("", "");
                }

                return new AlertField(token.Value[..equals], token.Value[(equals + 1)..]);
            }),
        ],
    };

    private readonly Option<string?> _key = new("--key")
    {
        Description = "What tells it from other alerts, which are not repeated within a time. Default: the title.",
        HelpName = "KEY",
    };

    private readonly Option<bool> _resolved = new("--resolved") { Description = "Tell those who were told of it that it is over, and let it be told anew when it comes back." };
    private readonly Option<string[]> _channels = new("--channel")
    {
        Description = "A channel of the site, by name. May be given several times. Default: all.",
        HelpName = "NAME",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<TimeSpan?> _repeatAfter = BackupArguments.NewDuration(
        "--repeat-after", "For how long a channel that was told is not told again. Default: the site's, or 4h.");

    private readonly Option<TimeSpan?> _timeout = BackupArguments.NewDuration("--timeout", "How long each channel is tried. Default: 2m.");
    private readonly Option<bool> _force = new("--force") { Description = "Tell all, also those who were told not long ago and those who ask for worse." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show who would be told, and tell nobody." };

    public AlertSendCommand(CliHost host)
        : base(host, "send", "Tells the people whom the site file names: Slack, webhooks and e-mail.")
    {
        foreach (Option option in new Option[] { _title, _text, _severity, _fields, _key, _resolved, _channels, _repeatAfter, _timeout, _force, _dryRun })
        {
            Options.Add(option);
        }

        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string? text = context.Parsed.GetValue(_text);
        Alert alert = Alert.Create(
            site.Name,
            context.Parsed.GetValue(_severity),
            context.Parsed.GetValue(_title)!,
            text == "-" ? await ReadInputAsync(context, cancellationToken).ConfigureAwait(false) : text,
            context.Parsed.GetValue(_fields)!,
            context.Parsed.GetValue(_key),
            context.Parsed.GetValue(_resolved),
            DateTimeOffset.UtcNow);
        DeliveryOptions delivery = new();
        AlertSendOptions options = new()
        {
            Channels = context.Parsed.GetValue(_channels)!,
            RepeatAfter = context.Parsed.GetValue(_repeatAfter),
            Force = context.Parsed.GetValue(_force),
            IsPreview = context.Parsed.GetValue(_dryRun),
            StateDirectory = AlertSendOptions.FindStateDirectory(context.Host.Environment),
            Delivery = delivery with { Timeout = context.Parsed.GetValue(_timeout) ?? delivery.Timeout },
        };
        AlertSender sender = new(site, context.Secrets, context.CreatePlainObserver());
        return AlertOutput.Write(context, await sender.SendAsync(alert, options, cancellationToken).ConfigureAwait(false));
    }

    private static async Task<string> ReadInputAsync(CliContext context, CancellationToken cancellationToken)
    {
        char[] buffer = new char[MaximumInput];
        int length = await context.Host.In.ReadBlockAsync(buffer, cancellationToken).ConfigureAwait(false);
        return new string(buffer, 0, length);
    }
}
