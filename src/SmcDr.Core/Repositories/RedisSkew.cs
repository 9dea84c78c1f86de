namespace SmcDr.Core.Repositories;

/// <summary>How far a Redis backup lies from one of the database.</summary>
/// <param name="BackupId">The backup of the database.</param>
/// <param name="StopTime">When that was consistent.</param>
/// <param name="Seconds">How much younger the Redis backup is, in seconds. Database recovery with WAL can come closer than this.</param>
public sealed record RedisSkew(string BackupId, DateTimeOffset StopTime, double Seconds);
