namespace SmcDr.Core.Copies;

/// <summary>How much write-ahead log is copied with backups. What a backup cannot be restored without goes with it always.</summary>
public enum CopyWal
{
    /// <summary>All that there is.</summary>
    All,

    /// <summary>What begins with the oldest of the backups: their recovery windows.</summary>
    Windows,

    /// <summary>None but what the backups themselves need.</summary>
    None,
}
