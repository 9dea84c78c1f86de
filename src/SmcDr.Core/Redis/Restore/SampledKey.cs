using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>A key of the backup that is compared afterwards.</summary>
/// <param name="Database">Its database.</param>
/// <param name="Key">The key.</param>
/// <param name="Encoding">How the backup has its value.</param>
/// <param name="ExpiresAt">When it expires, in milliseconds since 1970.</param>
/// <param name="Digest">The digest of its value.</param>
internal sealed record SampledKey(int Database, byte[] Key, RdbEncoding Encoding, long? ExpiresAt, UInt128 Digest);
