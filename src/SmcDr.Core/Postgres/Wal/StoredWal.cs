using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>A WAL object whose head was read.</summary>
internal sealed record StoredWal(WalKey Key, ObjectInfo Info, WalObjectHead Head, int HeadLength);
