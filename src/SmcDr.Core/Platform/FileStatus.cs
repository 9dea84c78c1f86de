using System.Runtime.InteropServices;

namespace SmcDr.Core.Platform;

/// <summary>What statx(2) says of a file.</summary>
internal readonly record struct FileStatus
{
    private const int TypeMask = 0xF000;

    private FileStatus(ReadOnlySpan<byte> statx)
    {
        // struct statx (linux/stat.h) has the same layout on every architecture.
        LinkCount = Read<uint>(statx, 16);
        UserId = Read<uint>(statx, 20);
        GroupId = Read<uint>(statx, 24);
        FullMode = Read<ushort>(statx, 28);
        Inode = Read<ulong>(statx, 32);
        Size = (long)Read<ulong>(statx, 40);
        AllocatedBytes = (long)Read<ulong>(statx, 48) * 512;
        Born = (Read<uint>(statx, 0) & LinuxCalls.BirthTime) != 0 ? new FileTime(Read<long>(statx, 80), (int)Read<uint>(statx, 88)) : null;
        Changed = new FileTime(Read<long>(statx, 96), (int)Read<uint>(statx, 104));
        Modified = new FileTime(Read<long>(statx, 112), (int)Read<uint>(statx, 120));
        DeviceMajor = Read<uint>(statx, 128);
        DeviceMinor = Read<uint>(statx, 132);
        FileSystem = ((ulong)Read<uint>(statx, 136) << 32) | Read<uint>(statx, 140);
    }

    /// <summary>Type and permission bits.</summary>
    public int FullMode { get; }

    /// <summary>The permission bits, with set-user-id, set-group-id and sticky.</summary>
    public int Mode => FullMode & ~TypeMask;

    public FileType Type => (FileType)(FullMode & TypeMask);

    public uint LinkCount { get; }

    public uint UserId { get; }

    public uint GroupId { get; }

    public ulong Inode { get; }

    /// <summary>The device that holds it (<c>st_dev</c>), as major and minor number.</summary>
    public ulong FileSystem { get; }

    public long Size { get; }

    public long AllocatedBytes { get; }

    /// <summary>When the content was changed (<c>st_mtime</c>); anybody may set it.</summary>
    public FileTime Modified { get; }

    /// <summary>When content or status was changed (<c>st_ctime</c>); nobody can set it.</summary>
    public FileTime Changed { get; }

    /// <summary>When it was made; null where that was not asked for, or the file system does not know.</summary>
    public FileTime? Born { get; }

    /// <summary>The device that a device file stands for.</summary>
    public uint DeviceMajor { get; }

    public uint DeviceMinor { get; }

    /// <summary>Whether it takes less room than it has bytes.</summary>
    public bool IsSparse => AllocatedBytes < Size;

    public static FileStatus FromStatx(ReadOnlySpan<byte> statx) => new(statx);

    private static T Read<T>(ReadOnlySpan<byte> statx, int offset)
        where T : unmanaged => MemoryMarshal.Read<T>(statx[offset..]);
}
