namespace SmcDr.Core.Postgres.Wal;

/// <summary>A restore point: what <c>pg_create_restore_point</c> wrote.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Time">The server's clock.</param>
/// <param name="Lsn">Where its record begins.</param>
/// <param name="EndLsn">Where its record ends, which is what the function returns.</param>
public sealed record WalRestorePoint(string Name, DateTimeOffset Time, Lsn Lsn, Lsn EndLsn);
