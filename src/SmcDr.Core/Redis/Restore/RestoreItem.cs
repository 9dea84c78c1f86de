namespace SmcDr.Core.Redis.Restore;

/// <summary>What is sent over one connection in one go, into one database.</summary>
internal abstract class RestoreItem
{
    /// <summary>The database.</summary>
    public int Database { get; set; }
}
