namespace SmcDr.Core.Kubernetes;

/// <summary>How patient a client is, and how it calls itself.</summary>
public sealed record KubernetesClientOptions
{
    /// <summary>How long connecting may take.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long one attempt of an ordinary request may take; streams have no such limit.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a request is tried again where the server is busy or away for a moment.</summary>
    public TimeSpan RetryTime { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>The first pause between two attempts; it doubles each time, up to <see cref="MaximumRetryDelay"/>.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>The longest pause that the client chooses itself.</summary>
    public TimeSpan MaximumRetryDelay { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>How many objects a page of a list has: a page is in memory as a whole, and an object may have 1.5 MB.</summary>
    public int PageSize { get; init; } = 100;

    /// <summary>
    /// Whether much goes into and out of pods over SPDY; null = where the server cannot speak v5.channel.k8s.io yet. A WebSocket is taken in any case where the
    /// server, or a proxy before it, does not speak SPDY.
    /// </summary>
    public bool? BulkBySpdy { get; init; }

    /// <summary>The name under which fields are owned after a server-side apply.</summary>
    public string FieldManager { get; init; } = "smcdr";
}
