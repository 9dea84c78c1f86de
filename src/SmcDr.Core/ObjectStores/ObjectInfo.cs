namespace SmcDr.Core.ObjectStores;

/// <summary>An object as a listing shows it.</summary>
/// <param name="Key">The key, relative to the store's location.</param>
/// <param name="Length">The length in bytes.</param>
/// <param name="LastModified">When it was stored, in UTC.</param>
public sealed record ObjectInfo(string Key, long Length, DateTimeOffset LastModified);
