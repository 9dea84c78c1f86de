using System.Globalization;

namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>From what was found to what is told: names, and whether it is what was looked for.</summary>
internal sealed class TransactionReport
{
    private const int NamesInOneLine = 3;

    private readonly WalArchive _archive;
    private readonly TimelineHistory _history;
    private readonly TransactionSearchOptions _options;
    private readonly RelationNames? _names;
    private readonly RelationDescriber _relations;
    private readonly uint? _database;
    private readonly uint? _relationNumber;

    public TransactionReport(WalArchive archive, TimelineHistory history, TransactionSearchOptions options, RelationNames? names)
    {
        _archive = archive;
        _history = history;
        _options = options;
        _names = names;
        _relations = new RelationDescriber(names);
        _relationNumber = Number(options.Relation);
        if (options.Database is { } database)
        {
            _database = Number(database) ?? names?.FindDatabase(database) ?? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                names is null
                    ? $"The database '{database}' cannot be found by its name without a server that knows it."
                    : $"The server has no database '{database}'.",
                recommendation: "Give the id of the database: that of one that was dropped stands in the result of a search for DropDatabase.",
                target: database);
        }
    }

    /// <summary>Describes a transaction; null where it is not what was looked for.</summary>
    public async Task<TransactionInfo?> DescribeAsync(FoundTransaction transaction, CancellationToken cancellationToken)
    {
        if (transaction.Time < _options.From || transaction.Time > _options.To ||
            transaction.CommitLsn < _options.FromLsn || transaction.CommitLsn >= _options.ToLsn ||
            (_database is { } only && transaction.Database != only && !transaction.DroppedDatabases.Contains(only)))
        {
            return null;
        }

        await _relations.LoadNamesAsync(transaction, cancellationToken).ConfigureAwait(false);
        TransactionRelation[] relations = [.. transaction.Relations
            .Select(_relations.Describe)
            // The system's own tables, where they were rewritten once and have a user's number since, lose rows at every DROP.
            .Where(static relation => relation.Change != "Changed" || relation.Name?.StartsWith("pg_catalog.", StringComparison.Ordinal) != true)
            .OrderBy(static relation => relation.Change == "Changed")
            .ThenBy(static relation => relation.Type is "Index" or "Toast")
            .ThenByDescending(static relation => relation.DeletedRows + relation.UpdatedRows)];
        // Rows of a table that stand outside it, because they are long, are no rows to anybody.
        TransactionRelation[] tables = [.. relations.Where(static relation => relation.Type is not ("Toast" or "Index"))];
        TransactionKinds kinds = Judge(transaction.Relations);
        kinds |= Array.Exists(tables, table => table.DeletedRows >= _options.MinimumRows) ? TransactionKinds.Delete : 0;
        kinds |= Array.Exists(tables, table => table.UpdatedRows >= _options.MinimumRows) ? TransactionKinds.Update : 0;
        kinds |= transaction.DroppedDatabases.Count > 0 ? TransactionKinds.DropDatabase : 0;
        if ((kinds & _options.Kinds) == 0 || !IsWanted(transaction, relations))
        {
            return null;
        }

        uint database = transaction.DroppedDatabases is [var dropped, ..] ? dropped : transaction.Database;
        // The files of a database are removed before the commit, and nobody is let in from even earlier on.
        Lsn recovery = transaction.DroppedDatabases.Count > 0 ? transaction.FirstLsn ?? transaction.CommitLsn : transaction.CommitLsn;
        return new TransactionInfo
        {
            Xid = transaction.Xid,
            Kind = kinds,
            CommitTime = transaction.Time,
            RecoveryLsn = recovery.ToString(),
            FirstLsn = transaction.FirstLsn?.ToString(),
            CommitLsn = transaction.CommitLsn.ToString(),
            EndLsn = transaction.EndLsn.ToString(),
            Timeline = (int)_history.TimelineAt(transaction.CommitLsn),
            DatabaseOid = database,
            Database = _names?.Database(database),
            DeletedRows = tables.Sum(static table => table.DeletedRows),
            UpdatedRows = tables.Sum(static table => table.UpdatedRows),
            InsertedRows = tables.Sum(static table => table.InsertedRows),
            Relations = relations,
            IsPrepared = transaction.IsPrepared,
            IsPartlySeen = transaction.IsPartlySeen,
            SystemId = _archive.SystemId.ToString(CultureInfo.InvariantCulture),
            Repository = _archive.Repository.Location,
            RelationNames = OneLine(relations),
        };
    }

    /// <summary>What was done to relations as a whole: where a table is among them, its indexes and the like only followed it.</summary>
    private static TransactionKinds Judge(IReadOnlyList<FoundRelation> relations)
    {
        IEnumerable<FoundRelation> tables = relations.Where(static relation => relation.Kind != 0 && relation.Row?.Kind is not ('i' or 't' or 'S'));
        return (tables.Any() ? tables : relations).Aggregate(TransactionKinds.None, static (kinds, relation) => kinds | relation.Kind);
    }

    private static uint? Number(string? text) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) ? number : null;

    private static string OneLine(TransactionRelation[] relations)
    {
        TransactionRelation[] shown = [.. relations.Where(static relation => relation.Type is not ("Toast" or "Index"))];
        shown = shown.Length > 0 ? shown : relations;
        string text = string.Join(", ", shown.Take(NamesInOneLine).Select(static relation => relation.Name ?? (relation.FileNode > 0
            ? string.Create(CultureInfo.InvariantCulture, $"file {relation.FileNode}")
            : string.Create(CultureInfo.InvariantCulture, $"relation {relation.Oid}"))));
        return shown.Length > NamesInOneLine
            ? string.Create(CultureInfo.InvariantCulture, $"{text} and {shown.Length - NamesInOneLine} more")
            : text;
    }

    private bool IsWanted(FoundTransaction transaction, TransactionRelation[] relations) => _options.Relation is not { } name ||
        relations.Any(relation =>
            (_relationNumber is { } number && (relation.FileNode == number || relation.Oid == number)) ||
            (relation.Name is { } known && (known == name || known.EndsWith("." + name, StringComparison.Ordinal))) ||
            // It may be the one, and nobody would look for it again.
            (_relationNumber is null && relation.Name is null && relation.Change is not "Changed")) ||
        transaction.DroppedDatabases.Count > 0;
}
