namespace SmcDr.Core.Failures;

/// <summary>Which failures are meant.</summary>
public sealed record BackupFailureQuery
{
    /// <summary>Only those of these components; none = of all, and of commands that back up several.</summary>
    public IReadOnlyCollection<Component> Components { get; init; } = [];

    /// <summary>Only those after this instant.</summary>
    public DateTimeOffset? After { get; init; }

    /// <summary>At most how many, the newest.</summary>
    public int First { get; init; } = int.MaxValue;

    /// <summary>Where this account keeps state, and with it what could not be noted in a repository; null = nowhere.</summary>
    public string? StateDirectory { get; init; }
}
