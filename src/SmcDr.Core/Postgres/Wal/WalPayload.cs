using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>The content of a WAL object as it is stored.</summary>
internal readonly record struct WalPayload(BlockCodec Codec, ReadOnlyMemory<byte> Bytes);
