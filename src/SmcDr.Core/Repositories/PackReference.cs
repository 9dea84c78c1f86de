namespace SmcDr.Core.Repositories;

/// <summary>A pack: an object that is nothing but stored blocks, one behind the other.</summary>
/// <param name="Component">The component whose folder it lies in.</param>
/// <param name="BackupId">The backup that wrote it; an earlier one than the manifest's for blocks that had not changed.</param>
/// <param name="Number">Its number in that backup.</param>
/// <param name="Length">Its length.</param>
/// <param name="Hash">Its SHA-256.</param>
public sealed record PackReference(Component Component, string BackupId, int Number, long Length, Hash256 Hash)
{
    /// <summary>The object's key.</summary>
    public string Key => RepositoryKeys.Pack(Component, BackupId, Number);
}
