namespace SmcDr.Core.Kubernetes;

/// <summary>How files are brought into and out of pods.</summary>
public sealed record PodTransferOptions
{
    /// <summary>How much is checked at a time, and sent again after a cut at most; a multiple of 1 MiB. A few of these are in memory.</summary>
    public int SegmentSize { get; init; } = 16 << 20;

    /// <summary>How often in a row a connection may break without anything having been brought over.</summary>
    public int MaximumFailures { get; init; } = 6;

    /// <summary>How long nothing may move before the connection is given up and another one is opened.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The pause after a break; it doubles while nothing is brought over, up to ten seconds.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Whether the file is on the disk, and not only in memory, before it gets its name.</summary>
    public bool Sync { get; init; } = true;

    /// <summary>Whether a file of the same name is replaced.</summary>
    public bool Overwrite { get; init; } = true;
}
