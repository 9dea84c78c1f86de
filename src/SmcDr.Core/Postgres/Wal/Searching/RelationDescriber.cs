namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>From a relation as the WAL knows it to what is told of it: its name above all.</summary>
/// <param name="names">A server that can tell names; null = none.</param>
internal sealed class RelationDescriber(RelationNames? names)
{
    /// <summary>Asks the server for the names that a transaction needs.</summary>
    public async Task LoadNamesAsync(FoundTransaction transaction, CancellationToken cancellationToken)
    {
        if (names is null)
        {
            return;
        }

        foreach (IGrouping<uint, FoundRelation> database in transaction.Relations.GroupBy(static relation => relation.File.Database))
        {
            await names.LoadAsync(
                database.Key,
                [.. database.Select(static relation => relation.Oid).OfType<uint>()],
                [.. database.Select(static relation => relation.File.Number).Where(static number => number > 0)],
                [.. database.Select(static relation => relation.Row?.Namespace).OfType<uint>()],
                cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What is told of a relation.</summary>
    public TransactionRelation Describe(FoundRelation relation)
    {
        // A server that runs knows best, as it is now; of what is gone, the WAL may have kept the name.
        RelationName? live = (relation.Oid is { } oid ? names?.ByOid(relation.File.Database, oid) : null) ??
            (relation.File.Number > 0 ? names?.ByFile(relation.File.Database, relation.File.Number) : null);
        string? name = live is not null ? $"{live.Schema}.{live.Name}" : relation.Row is { } row ? $"{Schema(relation.File.Database, row.Namespace)}{row.Name}" : null;
        return new TransactionRelation
        {
            Name = name,
            Type = (live?.Kind ?? relation.Row?.Kind) switch
            {
                'r' or 'p' => "Table",
                'i' or 'I' => "Index",
                't' => "Toast",
                'S' => "Sequence",
                'm' => "MaterializedView",
                _ => null,
            },
            Change = relation.Kind switch
            {
                TransactionKinds.None => "Changed",
                TransactionKinds.Drop => "Dropped",
                TransactionKinds.Truncate => "Truncated",
                TransactionKinds.Rewrite => "Rewritten",
                _ => "Replaced",
            },
            Oid = live?.Oid ?? relation.Oid,
            DatabaseOid = relation.File.Database,
            TablespaceOid = relation.File.Tablespace,
            FileNode = relation.File.Number,
            DeletedRows = relation.Rows.Deleted,
            UpdatedRows = relation.Rows.Updated,
            InsertedRows = relation.Rows.Inserted,
        };
    }

    /// <summary>The name of a schema with its dot: of those that initdb makes, the id is always the same (pgnamespace.dat).</summary>
    private string Schema(uint database, uint oid) => (names?.Schema(database, oid) ?? oid switch
    {
        2200 => "public",
        11 => "pg_catalog",
        99 => "pg_toast",
        _ => null,
    }) is { } name ? name + "." : "";
}
