using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>Makes manifest nodes of what the system says.</summary>
internal static class FileNodes
{
    public const string Fifo = "fifo";
    public const string CharacterDevice = "char";
    public const string BlockDevice = "block";

    public static FileNode From(
        FileStatus status, IReadOnlyDictionary<string, byte[]>? attributes, AccountNames accounts, bool torn = false) => new()
    {
        UserId = status.UserId,
        GroupId = status.GroupId,
        UserName = accounts.UserName(status.UserId),
        GroupName = accounts.GroupName(status.GroupId),
        Modified = status.Modified,
        Changed = status.Type == FileType.Regular ? status.Changed : null,
        Inode = status.Type == FileType.Regular ? status.Inode : null,
        Attributes = attributes,
        Sparse = status.Type == FileType.Regular && status.IsSparse,
        Torn = torn,
        Type = status.Type switch
        {
            FileType.Fifo => Fifo,
            FileType.CharacterDevice => CharacterDevice,
            FileType.BlockDevice => BlockDevice,
            _ => null,
        },
        Major = status.Type is FileType.CharacterDevice or FileType.BlockDevice ? status.DeviceMajor : null,
        Minor = status.Type is FileType.CharacterDevice or FileType.BlockDevice ? status.DeviceMinor : null,
    };
}
