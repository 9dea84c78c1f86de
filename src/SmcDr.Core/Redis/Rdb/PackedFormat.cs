namespace SmcDr.Core.Redis.Rdb;

/// <summary>Structures that Redis keeps in one piece of memory and writes as one string.</summary>
internal enum PackedFormat
{
    Ziplist,
    Listpack,
    /// <summary>The listpack of a hash whose fields expire: field, value, expiry or 0.</summary>
    ExpiringListpack,
    /// <summary>The listpack of a node of a stream.</summary>
    StreamListpack,
    Zipmap,
    Intset,
}
