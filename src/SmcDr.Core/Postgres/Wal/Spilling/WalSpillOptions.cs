namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>How WAL is spilled.</summary>
internal sealed record WalSpillOptions
{
    /// <summary>The directory, which nothing else uses.</summary>
    public required string Directory { get; init; }

    /// <summary>How much it may hold, in bytes.</summary>
    public required long Limit { get; init; }

    /// <summary>How long the repository may take for an object before it counts as unreachable.</summary>
    public required TimeSpan Patience { get; init; }

    /// <summary>How long to wait before the repository is tried again; doubled with each time.</summary>
    public required TimeSpan RetryDelay { get; init; }

    /// <summary>No attempt waits longer.</summary>
    public required TimeSpan MaximumRetryDelay { get; init; }

    /// <summary>How often there is a warning while the repository refuses this account, which nothing but a person ends.</summary>
    public TimeSpan ReminderInterval { get; init; } = TimeSpan.FromMinutes(10);
}
