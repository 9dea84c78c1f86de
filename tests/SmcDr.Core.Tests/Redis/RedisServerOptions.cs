namespace SmcDr.Core.Tests.Redis;

/// <summary>How a <see cref="RedisServer"/> differs from a plain one.</summary>
public sealed record RedisServerOptions
{
    /// <summary>Directives of <c>redis.conf</c>, in place of the fixture's own or in addition. A value is written as it stands.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    /// <summary>Further lines of <c>redis.conf</c>, for directives that occur more than once (<c>user</c>, <c>rename-command</c>).</summary>
    public IReadOnlyList<string> Lines { get; init; } = [];

    /// <summary>The password of the user <c>default</c>; without one nobody is asked for it.</summary>
    public string? Password { get; init; }

    /// <summary>Whether the server takes TLS connections only, with a certificate of its own.</summary>
    public bool Tls { get; init; }

    /// <summary>Whether it is a Sentinel.</summary>
    public bool IsSentinel { get; init; }
}
