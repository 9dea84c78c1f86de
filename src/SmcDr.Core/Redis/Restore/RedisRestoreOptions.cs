namespace SmcDr.Core.Redis.Restore;

/// <summary>What is restored to a running Redis server, and how.</summary>
public sealed record RedisRestoreOptions
{
    /// <summary>The most connections to one server that make sense: it does the work in one thread.</summary>
    public const int MaximumParallelism = 64;

    /// <summary>Only these databases; empty = all.</summary>
    public IReadOnlyCollection<int> Databases { get; init; } = [];

    /// <summary>Only keys whose names match one of these patterns, as <c>KEYS</c> and <c>SCAN</c> match them; empty = all.</summary>
    public IReadOnlyCollection<string> KeyPatterns { get; init; } = [];

    /// <summary>Whether the server is emptied first: of all keys, or where databases are named of those in them.</summary>
    public bool Empty { get; init; }

    /// <summary>How many connections to each server write at a time.</summary>
    public int Parallelism { get; init; } = 4;

    /// <summary>For how long a connection that broke is made again, and a refusal that passes by itself is waited for.</summary>
    public TimeSpan ReconnectTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long a server that is loading its data is waited for.</summary>
    public TimeSpan LoadingTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How many keys, chosen by chance, are compared afterwards; 0 = none.</summary>
    public int SampleSize { get; init; } = 1000;
}
