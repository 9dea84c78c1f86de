namespace SmcDr.Core.Repositories;

/// <summary>What an RDB holds of one of a Redis server's numbered databases.</summary>
/// <param name="Database">Its number.</param>
/// <param name="Keys">How many keys.</param>
/// <param name="Expires">How many of them have a time to live.</param>
/// <param name="Bytes">How many bytes keys and values take in the RDB.</param>
/// <param name="Types">The same by type, for types that occur.</param>
public sealed record RedisDatabaseContent(int Database, long Keys, long Expires, long Bytes, IReadOnlyList<RedisTypeContent> Types);
