namespace SmcDr.Core.Postgres.Logical;

/// <summary>What a restore finds and does.</summary>
public enum LogicalRestoreMode
{
    /// <summary>There is no such database: it is made.</summary>
    Create,

    /// <summary>It is there and empty.</summary>
    Fill,

    /// <summary>It is there; the new one is made beside it and takes its name.</summary>
    Replace,

    /// <summary>It is there, and a choice of tables comes into it.</summary>
    Merge,
}
