namespace SmcDr;

/// <summary>How a database is backed up.</summary>
public enum BackupMethod
{
    /// <summary>The files of the whole cluster, as a base for replaying WAL.</summary>
    Physical,

    /// <summary>The content of databases, one dump for each, as pg_dump writes it.</summary>
    Logical,
}
