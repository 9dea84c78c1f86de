using System.Runtime.InteropServices;

namespace SmcDr.Core.Platform;

/// <summary>
/// The calls of the system by which a tree is read and written without ever following a link: relative to an open directory, one name
/// at a time. Names are bytes, ended by a zero.
/// </summary>
internal static unsafe partial class LinuxCalls
{
    public const int ReadOnly = 0;
    public const int WriteOnly = 1;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int NonBlocking = 0x800;
    public const int NoAccessTime = 0x40000;
    public const int CloseOnExec = 0x80000;
    public const int PathOnly = 0x200000;

    public const int CurrentDirectory = -100;
    public const int LinkItself = 0x100;
    public const int RemoveDirectory = 0x200;
    public const int NoAutomount = 0x800;
    public const int EmptyPath = 0x1000;
    public const uint BasicStatus = 0x7FF;
    public const uint BirthTime = 0x800;
    public const uint RenameNoReplace = 1;
    public const int SeekData = 3;
    public const uint WriteRange = 2;
    public const int LockExclusive = 2;
    public const int LockNonBlocking = 4;
    public const long TimeOmitted = (1L << 30) - 2;

    private const string Library = "libc";

    // asm/fcntl.h: ARM and POWER have numbers of their own for these two.
    private static readonly bool s_otherNumbers = RuntimeInformation.ProcessArchitecture is
        Architecture.Arm or Architecture.Arm64 or Architecture.Armv6 or Architecture.Ppc64le;

    public static int DirectoryOnly => s_otherNumbers ? 0x4000 : 0x10000;

    public static int NoFollow => s_otherNumbers ? 0x8000 : 0x20000;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int openat(int directory, byte* name, int flags, int mode);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int close(int descriptor);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint pread(int descriptor, byte* buffer, nint count, long offset);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint pwrite(int descriptor, byte* buffer, nint count, long offset);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ftruncate(int descriptor, long length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial long lseek(int descriptor, long offset, int whence);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int flock(int descriptor, int operation);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int syncfs(int descriptor);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fsync(int descriptor);

    [LibraryImport(Library)]
    public static partial int sync_file_range(int descriptor, long offset, long length, uint flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int kill(int process, int signal);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int statx(int directory, byte* name, int flags, uint mask, byte* result);

    [LibraryImport(Library)]
    public static partial int faccessat(int directory, byte* name, int mode, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int mkdirat(int directory, byte* name, int mode);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int mkfifoat(int directory, byte* name, int mode);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int mknodat(int directory, byte* name, int mode, ulong device);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int symlinkat(byte* target, int directory, byte* name);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int linkat(int sourceDirectory, byte* source, int directory, byte* name, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint readlinkat(int directory, byte* name, byte* buffer, nint size);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int unlinkat(int directory, byte* name, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int renameat2(int sourceDirectory, byte* source, int directory, byte* name, uint flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int chmod(byte* path, int mode);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fchmod(int descriptor, int mode);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fchown(int descriptor, uint user, uint group);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fchownat(int directory, byte* name, uint user, uint group, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int futimens(int descriptor, long* times);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int utimensat(int directory, byte* name, long* times, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint flistxattr(int descriptor, byte* list, nint size);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint llistxattr(byte* path, byte* list, nint size);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint fgetxattr(int descriptor, byte* name, byte* value, nint size);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint lgetxattr(byte* path, byte* name, byte* value, nint size);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fsetxattr(int descriptor, byte* name, byte* value, nint size, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int lsetxattr(byte* path, byte* name, byte* value, nint size, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fremovexattr(int descriptor, byte* name);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint fdopendir(int descriptor);

    [LibraryImport(Library, SetLastError = true)]
    public static partial byte* readdir(nint directory);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int closedir(nint directory);

    [LibraryImport(Library)]
    public static partial int getpwuid_r(uint id, byte* entry, byte* buffer, nint size, byte** result);

    [LibraryImport(Library)]
    public static partial int getgrgid_r(uint id, byte* entry, byte* buffer, nint size, byte** result);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int getpwnam_r(string name, byte* entry, byte* buffer, nint size, byte** result);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int getgrnam_r(string name, byte* entry, byte* buffer, nint size, byte** result);
}
