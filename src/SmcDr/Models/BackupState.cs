namespace SmcDr;

/// <summary>Whether a backup can be restored.</summary>
public enum BackupState
{
    /// <summary>It can.</summary>
    Complete,

    /// <summary>It can, and something could not be read: only file stores, configurations, and databases in an emergency are ever backed up in part.</summary>
    Partial,

    /// <summary>It is running, or was interrupted.</summary>
    Incomplete,

    /// <summary>Its marker is there and cannot be believed.</summary>
    Damaged,

    /// <summary>A newer version of SmcDr wrote it, or it needs a key that is not given: not here, and for all that is known elsewhere.</summary>
    Unreadable,
}
