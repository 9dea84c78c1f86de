namespace SmcDr.Core.Redis.Rdb;

/// <summary>What the checksum at the end of an RDB file proves.</summary>
public enum RdbChecksumState
{
    /// <summary>The end has not been reached yet, or nobody wanted to know.</summary>
    Unknown,
    /// <summary>It is right.</summary>
    Verified,
    /// <summary>The server wrote none (<c>rdbchecksum no</c>): damage that leaves the structure intact is not seen.</summary>
    SwitchedOff,
    /// <summary>The format has none before RDB 5.</summary>
    Absent,
}
