using System.Runtime.InteropServices;

namespace SmcDr.Core.Recovery;

/// <summary>Which file system a path is on, and how much room it has.</summary>
internal static partial class FileSystems
{
    private const int CurrentDirectory = -100;
    private const uint BasicAndMountId = 0x17ff;
    private const uint MountIdMask = 0x1000;

    /// <summary>The nearest ancestor that exists, or the path itself.</summary>
    public static string Existing(string path)
    {
        string current = Path.GetFullPath(path);
        while (!Directory.Exists(current))
        {
            current = Path.GetDirectoryName(current) ?? throw new DirectoryNotFoundException($"'{path}' has no root that exists.");
        }

        return current;
    }

    /// <summary>The same text for all paths of one file system.</summary>
    public static string Identity(string path)
    {
        string existing = Existing(path);
        return OperatingSystem.IsLinux() && TryStat(existing, out Stat stat) ? $"{stat.DeviceMajor}:{stat.DeviceMinor}" : Path.GetPathRoot(existing)!;
    }

    /// <summary>Whether something is mounted at a directory, so that it cannot be renamed.</summary>
    public static bool IsMountPoint(string path)
    {
        string? parent = Path.GetDirectoryName(path);
        return parent is not null && OperatingSystem.IsLinux() &&
            TryStat(path, out Stat own) && TryStat(parent, out Stat above) &&
            // A bind mount of the same file system has another mount id alone; kernels before 5.8 do not tell it.
            (own.DeviceMajor != above.DeviceMajor || own.DeviceMinor != above.DeviceMinor ||
             ((own.Mask & above.Mask & MountIdMask) != 0 && own.MountId != above.MountId));
    }

    /// <summary>The room that is left for the present account.</summary>
    public static long Available(string path) => new DriveInfo(Existing(path)).AvailableFreeSpace;

    /// <summary>What the files below a directory take; 0 where it does not exist.</summary>
    public static long SizeOf(string directory) => !Directory.Exists(directory)
        ? 0
        : new DirectoryInfo(directory)
            .EnumerateFiles("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint })
            .Sum(static f => f.Length);

    private static bool TryStat(string path, out Stat stat) => statx(CurrentDirectory, path, 0, BasicAndMountId, out stat) == 0;

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, out Stat result);

    // struct statx in linux/stat.h: the same layout on every architecture.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Stat
    {
        [FieldOffset(0)]
        public uint Mask;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;

        [FieldOffset(144)]
        public ulong MountId;
    }
}
