namespace SmcDr;

/// <summary>How a Redis server is backed up.</summary>
public enum RedisBackupMethod
{
    /// <summary>The server sends its data as it does to a new replica. Works from anywhere, and needs no room on the server's disk.</summary>
    Replication,

    /// <summary>The server writes its file, which is read on the server's host.</summary>
    BgSave,
}
