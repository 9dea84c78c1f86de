using SmcDr.Core.Platform;

namespace SmcDr.Core.Redis;

/// <summary>How connections to a Redis server are made.</summary>
public sealed record RedisConnectorOptions
{
    /// <summary>The ACL user; null = the server's default user.</summary>
    public string? Username { get; init; }

    /// <summary>How the connection is encrypted; null = it is not.</summary>
    public RedisTlsOptions? Tls { get; init; }

    /// <summary>The way to the server, where it is not reached by its address.</summary>
    public IServerRoute? Route { get; init; }

    /// <summary>How long connecting may take, encryption and authentication included.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long the server may take for a reply.</summary>
    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long nothing may come while a backup streams. Redis itself gives up after <c>repl-timeout</c>, a minute.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>
    /// The commands that the server's <c>rename-command</c> gave other names, by their true names in any case. An empty name is that of a command
    /// which was taken away.
    /// </summary>
    public IReadOnlyDictionary<string, string> RenamedCommands { get; init; } = new Dictionary<string, string>();
}
