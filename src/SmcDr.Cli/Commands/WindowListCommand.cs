using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr window list</c>.</summary>
internal sealed class WindowListCommand : CliCommand
{
    private static readonly Column<RecoveryWindow>[] s_columns =
    [
        new("From", static window => DisplayText.Time(window.EarliestTime)),
        new("To", static window => DisplayText.Time(window.LatestTime)),
        new("To LSN", static window => window.LatestLsn),
        new("Timeline", static window => FormattableString.Invariant($"{window.Timeline}"), IsNumber: true),
        new("WAL", static window => DisplayText.Size(window.WalBytes), IsNumber: true),
        new("Backup", static window => window.BackupId),
        new("Lost now", static window => DisplayText.Loss(window)),
        new("Gap", static window => window.Gap),
    ];

    private readonly Option<bool> _offline = new("--offline") { Description = "Do not ask the server what would be lost now." };

    public WindowListCommand(CliHost host)
        : base(host, "list", "Lists the intervals that can truly be recovered.")
    {
        Options.Add(_offline);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        IOperationObserver observer = context.CreatePlainObserver();
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await site.OpenForReadingAsync(context.Secrets, observer, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<RecoveryWindow> windows = await site
            .ListWindowsAsync(repository, context.Secrets, context.Parsed.GetValue(_offline), observer, cancellationToken).ConfigureAwait(false);
        context.WriteList(
            windows, s_columns, "Nothing can be recovered yet: it takes a base backup, and 'smcdr wal stream' for what follows it.");
        return ExitCodes.Success;
    }
}
