namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>A transaction or subtransaction whose end was not seen yet, and what it has done. Empty parts take no room: there can be many.</summary>
internal sealed class OpenTransaction(Lsn firstLsn)
{
    public Lsn FirstLsn { get; private set; } = firstLsn;

    public Dictionary<RelationFile, RowCounts>? Rows { get; private set; }

    /// <summary>The files that it made.</summary>
    public Dictionary<RelationFile, FileContent>? Created { get; private set; }

    /// <summary>The relations that it wrote into pg_class.</summary>
    public HashSet<uint>? CreatedRelations { get; private set; }

    /// <summary>The tables that it wrote anew: into a table that is called after the other one's id, and then takes its place.</summary>
    public HashSet<uint>? Rewritten { get; private set; }

    /// <summary>The relations that it said to have truncated, which it does with <c>wal_level = logical</c>: database and id.</summary>
    public HashSet<(uint Database, uint Oid)>? Truncated { get; private set; }

    /// <summary>The databases whose files it removed.</summary>
    public HashSet<uint>? DroppedDatabases { get; private set; }

    public RowCounts Count(RelationFile file)
    {
        Rows ??= [];
        if (!Rows.TryGetValue(file, out RowCounts? counts))
        {
            Rows[file] = counts = new RowCounts();
        }

        return counts;
    }

    public void AddCreated(RelationFile file) => (Created ??= []).TryAdd(file, FileContent.None);

    public void AddContent(RelationFile file, FileContent content)
    {
        if (Created?.TryGetValue(file, out FileContent known) == true && (known | content) != known)
        {
            Created[file] = known | content;
        }
    }

    public void AddCreatedRelation(uint oid) => (CreatedRelations ??= []).Add(oid);

    public void AddRewritten(uint oid) => (Rewritten ??= []).Add(oid);

    public void AddTruncated(uint database, uint oid) => (Truncated ??= []).Add((database, oid));

    public void AddDroppedDatabase(uint database) => (DroppedDatabases ??= []).Add(database);

    /// <summary>Says that a record at a position belongs to it, though it does not name it.</summary>
    public void BeganAt(Lsn lsn) => FirstLsn = lsn < FirstLsn ? lsn : FirstLsn;

    /// <summary>Takes what a subtransaction of it has done.</summary>
    public void Add(OpenTransaction other)
    {
        BeganAt(other.FirstLsn);
        foreach ((RelationFile file, RowCounts counts) in other.Rows ?? [])
        {
            Count(file).Add(counts);
        }

        foreach ((RelationFile file, FileContent content) in other.Created ?? [])
        {
            AddCreated(file);
            AddContent(file, content);
        }

        (CreatedRelations ??= []).UnionWith(other.CreatedRelations ?? []);
        (Rewritten ??= []).UnionWith(other.Rewritten ?? []);
        (Truncated ??= []).UnionWith(other.Truncated ?? []);
        (DroppedDatabases ??= []).UnionWith(other.DroppedDatabases ?? []);
    }
}
