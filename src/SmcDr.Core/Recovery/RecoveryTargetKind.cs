namespace SmcDr.Core.Recovery;

/// <summary>By what a recovery's end is given.</summary>
public enum RecoveryTargetKind
{
    /// <summary>The end of the archive.</summary>
    Latest,

    /// <summary>The end of the base backup: as soon as it is consistent.</summary>
    Immediate,

    /// <summary>An instant, by the server's clock.</summary>
    Time,

    /// <summary>A position in the write-ahead log.</summary>
    Lsn,

    /// <summary>A transaction.</summary>
    Xid,

    /// <summary>A restore point that <c>pg_create_restore_point</c> made.</summary>
    Name,
}
