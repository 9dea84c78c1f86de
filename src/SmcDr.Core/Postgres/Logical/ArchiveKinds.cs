namespace SmcDr.Core.Postgres.Logical;

/// <summary>Kinds of entries in an archive, as pg_dump calls them.</summary>
internal static class ArchiveKinds
{
    public const string Table = "TABLE";
    public const string TableData = "TABLE DATA";
    public const string TableAttach = "TABLE ATTACH";
    public const string Schema = "SCHEMA";
    public const string Extension = "EXTENSION";
    public const string Sequence = "SEQUENCE";
    public const string Default = "DEFAULT";

    /// <summary>What <c>-Table</c> names.</summary>
    public static readonly string[] Relations = [Table, "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", Sequence];

    /// <summary>What belongs to a relation and is restored with it.</summary>
    public static readonly string[] Parts =
    [
        TableData, TableAttach, Default, "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "TRIGGER", "RULE", "POLICY",
        "ROW SECURITY", "ACL", "COMMENT", "SECURITY LABEL", "STATISTICS", "STATISTICS DATA", "MATERIALIZED VIEW DATA", Sequence, "SEQUENCE OWNED BY", "SEQUENCE SET",
    ];

    /// <summary>Parts whose tag begins with the name of the relation that they belong to.</summary>
    public static readonly string[] NamedAfterRelation =
        ["CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "POLICY", Default];
}
