namespace SmcDr.Core.Platform;

/// <summary>
/// What tells a directory from any other that ever had its name: numbers of inodes are given again at once, and not with the same time of birth.
/// </summary>
/// <param name="FileSystem">The device that holds it.</param>
/// <param name="Inode">Its inode.</param>
/// <param name="Born">When it was made.</param>
internal readonly record struct DirectoryIdentity(ulong FileSystem, ulong Inode, FileTime Born)
{
    /// <summary>The identity of what has a path now; null where the system or the file system does not tell, or there is nothing.</summary>
    public static DirectoryIdentity? Find(string path) =>
        OperatingSystem.IsLinux() && Posix.FindStatus(path) is { Born: { } born } status
            ? new DirectoryIdentity(status.FileSystem, status.Inode, born)
            : null;
}
