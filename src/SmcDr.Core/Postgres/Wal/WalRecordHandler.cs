namespace SmcDr.Core.Postgres.Wal;

/// <summary>Takes a record. False says that its parts do not fit together, though its checksum fits.</summary>
internal delegate bool WalRecordHandler(WalRecord record);
