namespace SmcDr;

/// <summary>How a Redis server is given back the data of a backup.</summary>
public enum RedisRestoreMethod
{
    /// <summary>Keys are written to the running server or cluster over its protocol. Works from anywhere, and other keys may stay.</summary>
    Online,

    /// <summary>The server is stopped without saving, its file is put in place, and it is started again.</summary>
    Offline,
}
