using Amazon.Runtime;

namespace SmcDr.Core.Dns;

/// <summary>How Route 53 is reached, and how patiently.</summary>
public sealed record Route53Options
{
    /// <summary>Another server than AWS's own, or another partition's; null = what the environment says, else <c>route53.amazonaws.com</c>.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>The profile of the shared AWS configuration; the usual chain of credentials where null.</summary>
    public string? Profile { get; init; }

    /// <summary>How long one attempt may take.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a request is tried again where Route 53 is busy, throttles or is away for a moment.</summary>
    public TimeSpan RetryTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The first pause between two attempts; it doubles each time, up to <see cref="MaximumRetryDelay"/>.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The longest pause. An account may send five requests a second, all its programs together.</summary>
    public TimeSpan MaximumRetryDelay { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How many record sets a page holds, 300 at most.</summary>
    internal int PageSize { get; init; } = 300;

    /// <summary>Looks an environment variable up.</summary>
    internal Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    /// <summary>The clock that requests are signed by.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Credentials, in place of those that are looked for.</summary>
    internal AWSCredentials? Credentials { get; init; }
}
