namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A file of a data directory as a listing found it.</summary>
/// <param name="Path">The path below the data directory.</param>
/// <param name="Size">The size at that moment.</param>
/// <param name="ModifiedTime">When it was last written, by the server's clock.</param>
internal sealed record SourceFile(string Path, long Size, DateTimeOffset ModifiedTime);
