namespace SmcDr.Core.Repositories;

/// <summary>What the RDB of a Redis backup holds, as it was read when the backup was taken.</summary>
public sealed record RedisContent
{
    /// <summary>How many keys, those among them whose time had passed; without empty collections, which no server loads.</summary>
    public required long Keys { get; init; }

    /// <summary>How many of them have a time to live.</summary>
    public required long Expires { get; init; }

    /// <summary>How many bytes keys and values take in the RDB.</summary>
    public required long Bytes { get; init; }

    /// <summary>The databases that have keys, by number; of more than a thousand those with the lowest numbers.</summary>
    public IReadOnlyList<RedisDatabaseContent> Databases { get; init; } = [];

    /// <summary>The names of the libraries of functions.</summary>
    public IReadOnlyList<string> Functions { get; init; } = [];

    /// <summary>The types of modules, by their nine-letter names, without which no server loads the RDB.</summary>
    public IReadOnlyList<string> Modules { get; init; } = [];

    /// <summary>How much memory the server used when it made the RDB, in bytes: what one that loads it needs at least.</summary>
    public long? UsedMemory { get; init; }
}
