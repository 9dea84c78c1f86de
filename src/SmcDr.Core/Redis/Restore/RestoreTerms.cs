using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>What RESTORE is told of a key beside its value.</summary>
/// <param name="ExpiresAt">When it expires, in milliseconds since 1970.</param>
/// <param name="IdleSeconds">See <see cref="RdbEntry.IdleSeconds"/>.</param>
/// <param name="Frequency">See <see cref="RdbEntry.Frequency"/>.</param>
internal readonly record struct RestoreTerms(long? ExpiresAt, long? IdleSeconds, byte? Frequency)
{
    public static RestoreTerms Of(RdbEntry entry) => new(entry.ExpiresAt, entry.IdleSeconds, entry.Frequency);
}
