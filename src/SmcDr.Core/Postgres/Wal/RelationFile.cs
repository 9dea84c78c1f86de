namespace SmcDr.Core.Postgres.Wal;

/// <summary>The file of a table or index as WAL names it (relfilelocator.h). It is not the relation's own id, and changes at each rewrite.</summary>
/// <param name="Tablespace">The tablespace.</param>
/// <param name="Database">The database; 0 for what all databases share.</param>
/// <param name="Number">The number of the file in them.</param>
internal readonly record struct RelationFile(uint Tablespace, uint Database, uint Number)
{
    /// <summary>FirstNormalObjectId (transam.h): what initdb makes has smaller numbers, until it is rewritten.</summary>
    public const uint FirstOfUsers = 16384;

    /// <summary>Whether the file was made by initdb: a table or index of the system catalogs.</summary>
    public bool IsBootstrapCatalog => Number < FirstOfUsers;
}
