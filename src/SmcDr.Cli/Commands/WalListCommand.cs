using SmcDr.Cli.Output;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr wal list</c>.</summary>
internal sealed class WalListCommand : CliCommand
{
    private static readonly Column<WalSegmentInfo>[] s_columns =
    [
        new("Name", static wal => wal.Name),
        new("Kind", static wal => wal.Kind),
        new("From", static wal => wal.StartLsn),
        new("To", static wal => wal.EndLsn),
        new("First commit", static wal => DisplayText.Time(wal.FirstCommitTime)),
        new("Last commit", static wal => DisplayText.Time(wal.LastCommitTime)),
        new("Commits", static wal => FormattableString.Invariant($"{wal.CommitCount}"), IsNumber: true),
        new("Stored", static wal => DisplayText.Size(wal.StoredBytes), IsNumber: true),
    ];

    public WalListCommand(CliHost host)
        : base(host, "list", "Lists the write-ahead log in the repository.")
    {
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Repository repository = await context.OpenForReadingAsync(context.LoadSite(), cancellationToken).ConfigureAwait(false);
        List<WalSegmentInfo> entries = [];
        await foreach (ulong system in WalArchive.ListSystemsAsync(repository, cancellationToken).ConfigureAwait(false))
        {
            await foreach (WalSegmentInfo entry in new WalArchive(repository, system).ListAsync(cancellationToken).ConfigureAwait(false))
            {
                entries.Add(entry);
            }
        }

        context.WriteList(entries, s_columns, "There is no write-ahead log. 'smcdr wal stream' brings it.");
        return ExitCodes.Success;
    }
}
