using SmcDr.Core.Recovery;

namespace SmcDr.Core.Redis.Offline;

/// <summary>The server that an offline restore goes to, as it was found before anything was changed.</summary>
internal sealed record OfflineTarget
{
    public required OfflineLayout Layout { get; init; }

    public required OfflineStart Start { get; init; }

    /// <summary>What the server said of itself; null where it does not run.</summary>
    public RedisInfo? Info { get; init; }

    /// <summary>The version of the program that will load the data.</summary>
    public required string Version { get; init; }

    /// <summary>The account that its files belong to; null where the present account cannot give files away.</summary>
    public OsAccount? Owner { get; init; }

    /// <summary>A restore that was interrupted, and is continued.</summary>
    public OfflineJournal? Interrupted { get; init; }

    public IReadOnlyList<string> Warnings { get; init; } = [];

    public string? SuspendFirst { get; init; }

    /// <summary>With <see cref="OfflineStart.IsTemporary"/>: how the server is reached that is only started to see that it loads the data.</summary>
    public TemporaryRedis? Temporary { get; init; }
}
