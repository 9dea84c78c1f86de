using SmcDr.Cli.Output;
using SmcDr.Core.Postgres.Wal;
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
        new("Gap", static window => window.Gap),
    ];

    public WindowListCommand(CliHost host)
        : base(host, "list", "Lists the intervals that can truly be recovered.")
    {
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Repository repository = await context.OpenForReadingAsync(context.LoadSite(), cancellationToken).ConfigureAwait(false);
        List<RecoveryWindow> windows = [];
        await foreach (RecoveryWindow window in WalWindows.ListAsync(repository, cancellationToken).ConfigureAwait(false))
        {
            windows.Add(window);
        }

        context.WriteList(
            windows, s_columns, "Nothing can be recovered yet: it takes a base backup, and 'smcdr wal stream' for what follows it.");
        return ExitCodes.Success;
    }
}
