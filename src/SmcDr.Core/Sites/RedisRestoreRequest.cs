using SmcDr.Core.Redis.Restore;

namespace SmcDr.Core.Sites;

/// <summary>Which restore of Redis is wanted, as far as whoever asks says.</summary>
public sealed record RedisRestoreRequest
{
    /// <summary>How; null = online where the server answers, and else offline where the site says how.</summary>
    public RedisRestoreMethod? Method { get; init; }

    /// <summary>What is restored.</summary>
    public RedisRestoreOptions Options { get; init; } = new();

    /// <summary>Another server than the site's, as host and port. User and password are then those given here, or none.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The user that connects, in the place of the site's; null = the server's default user.</summary>
    public string? Username { get; init; }

    /// <summary>Gives that user's password; null = as the site says, or none for another server.</summary>
    public Func<CancellationToken, ValueTask<string?>>? Password { get; init; }

    /// <summary>Whether the connection is encrypted; null = as the site says.</summary>
    public bool? Tls { get; init; }
}
