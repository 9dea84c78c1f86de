namespace SmcDr.Core.Verification;

/// <summary>How backups are verified.</summary>
public sealed record BackupVerificationOptions
{
    /// <summary>Whether every byte is read, or only looked whether every object is there with its length.</summary>
    public bool Deep { get; init; }

    /// <summary>Packs that a deep verification found right within this time are not read again; null for all anew.</summary>
    public TimeSpan? VerifiedWithin { get; init; }

    /// <summary>How many packs are read at a time.</summary>
    public int Parallelism { get; init; } = Math.Clamp(Environment.ProcessorCount, 2, 16);

    /// <summary>WAL that has not come for so long counts as lost.</summary>
    public TimeSpan WalDelay { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
