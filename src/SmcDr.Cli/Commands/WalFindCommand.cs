using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Searching;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr wal find</c>.</summary>
internal sealed class WalFindCommand : CliCommand
{
    private static readonly Column<TransactionInfo>[] s_columns =
    [
        new("Committed", static one => DisplayText.Time(one.CommitTime)),
        new("Xid", static one => FormattableString.Invariant($"{one.Xid}"), IsNumber: true),
        new("Kind", static one => one.Kind.ToString()),
        new("Database", static one => one.Database ?? FormattableString.Invariant($"{one.DatabaseOid}")),
        new("Deleted", static one => FormattableString.Invariant($"{one.DeletedRows}"), IsNumber: true),
        new("Updated", static one => FormattableString.Invariant($"{one.UpdatedRows}"), IsNumber: true),
        new("Recover before", static one => one.RecoveryLsn),
        new("Relations", static one => one.RelationNames),
    ];

    private readonly Option<string?> _from = new("--from")
    {
        Description = "Committed at this instant or later: with Z or an offset, or relative to now, such as -2h.",
        HelpName = "TIME",
    };

    private readonly Option<string?> _to = new("--to") { Description = "Committed at this instant or earlier.", HelpName = "TIME" };
    private readonly Option<Lsn?> _fromLsn = new("--from-lsn")
    {
        Description = "Committed at this position or behind it.",
        HelpName = "LSN",
        CustomParser = ArgumentParsers.Lsn,
    };

    private readonly Option<Lsn?> _toLsn = new("--to-lsn")
    {
        Description = "Committed before this position.",
        HelpName = "LSN",
        CustomParser = ArgumentParsers.Lsn,
    };

    private readonly Option<TransactionKinds[]> _kinds = new("--kind")
    {
        Description = "What was done. Can be given again. Default: anything.",
        HelpName = "KIND",
        DefaultValueFactory = static _ => [TransactionKinds.All],
    };

    private readonly Option<string?> _database = new("--database") { Description = "The database, by its id or name.", HelpName = "DATABASE" };
    private readonly Option<string?> _relation = new("--relation")
    {
        Description = "A table, by its name, its id, or the number of its file.",
        HelpName = "TABLE",
    };

    private readonly Option<long> _minimumRows = new("--minimum-rows")
    {
        Description = "The rows of one table that must have been deleted or updated.",
        HelpName = "N",
        DefaultValueFactory = static _ => TransactionSearchOptions.DefaultMinimumRows,
    };

    private readonly Option<uint?> _timeline = new("--timeline") { Description = "The timeline. Default: the newest.", HelpName = "N" };
    private readonly Option<ulong?> _systemId = new("--system-id")
    {
        Description = "The system identifier of the cluster, where the repository has several.",
        HelpName = "ID",
    };

    private readonly Option<bool> _offline = new("--offline") { Description = "Ask no server for names." };

    public WalFindCommand(CliHost host)
        : base(host, "find", "Finds transactions that dropped, truncated, rewrote, deleted or updated much, and where to recover to.")
    {
        foreach (Option option in new Option[]
        {
            _from, _to, _fromLsn, _toLsn, _kinds, _database, _relation, _minimumRows, _timeline, _systemId, _offline, GlobalOptions.Json,
        })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        TransactionSearchOptions options = new()
        {
            From = parsed.GetValue(_from) is { } from ? InstantText.Parse(from) : null,
            To = parsed.GetValue(_to) is { } to ? InstantText.Parse(to) : null,
            FromLsn = parsed.GetValue(_fromLsn),
            ToLsn = parsed.GetValue(_toLsn),
            Kinds = parsed.GetValue(_kinds)!.Aggregate(TransactionKinds.None, static (all, one) => all | one),
            Database = parsed.GetValue(_database),
            Relation = parsed.GetValue(_relation),
            MinimumRows = parsed.GetValue(_minimumRows),
            Timeline = parsed.GetValue(_timeline),
        };
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        PostgresConnector? connector = parsed.GetValue(_offline) ? null : site.CreateConnector(context.Secrets);
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        WalArchive archive = await TransactionSearch.OpenArchiveAsync(repository, parsed.GetValue(_systemId), cancellationToken)
            .ConfigureAwait(false);
        List<TransactionInfo> found = await context.ObserveAsync(async observer =>
        {
            List<TransactionInfo> results = [];
            await foreach (TransactionInfo one in TransactionSearch.FindAsync(archive, options, connector, observer, cancellationToken)
                .ConfigureAwait(false))
            {
                results.Add(one);
            }

            return results;
        }).ConfigureAwait(false);
        context.WriteList(found, s_columns, "There is no such transaction in the archived write-ahead log.");
        if (found.Count > 0 && !context.Json)
        {
            await context.Host.Error.WriteLineAsync(
                "To recover to before one of them: 'smcdr restore database --target-lsn LSN --exclusive'.").ConfigureAwait(false);
        }

        return ExitCodes.Success;
    }
}
