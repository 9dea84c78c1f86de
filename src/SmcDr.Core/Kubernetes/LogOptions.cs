namespace SmcDr.Core.Kubernetes;

/// <summary>Which part of a container's log is meant.</summary>
public sealed record LogOptions
{
    /// <summary>The container; null = the only one.</summary>
    public string? Container { get; init; }

    /// <summary>Whether the stream goes on with what is written from now on.</summary>
    public bool Follow { get; init; }

    /// <summary>The log of the container before its last restart.</summary>
    public bool Previous { get; init; }

    public bool Timestamps { get; init; }

    public int? TailLines { get; init; }

    public DateTimeOffset? Since { get; init; }
}
