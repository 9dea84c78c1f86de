namespace SmcDr.Core.Redis.Offline;

/// <summary>What an offline restore calls its own files in a data directory.</summary>
internal static class OfflineNames
{
    /// <summary>What it has noted of how far it is.</summary>
    public const string JournalName = "smcdr-restore.journal";

    /// <summary>The RDB on its way.</summary>
    public const string FileName = "smcdr-restore.rdb";

    /// <summary>The directory of append-only files on its way.</summary>
    public const string AppendDirectoryName = "smcdr-restore.aof";
}
