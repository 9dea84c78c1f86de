using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace SmcDr.Core.Platform;

/// <summary>What .NET has no call for: making a directory entry durable, renaming without replacing, owners.</summary>
public static partial class Posix
{
    private const int OpenReadOnly = 0;
    private const int CloseOnExec = 0x80000;
    private const uint RenameNoReplace = 1;
    private const int CurrentDirectory = -100;
    private const int FileExists = 17;
    private const int InvalidArgument = 22;
    private const uint SyncFileRangeWrite = 2;
    private const int NotImplemented = 38;
    private const int RemoveIdentifier = 0;

    /// <summary>Whether this process may do everything.</summary>
    public static bool IsRoot => !OperatingSystem.IsWindows() && geteuid() == 0;

    /// <summary>The account that this process acts as.</summary>
    [UnsupportedOSPlatform("windows")]
    public static uint EffectiveUserId => geteuid();

    /// <summary>
    /// Makes the names in a directory durable. A file that was created or renamed is only safe after its directory was synced
    /// (fsync(2)). On Windows, where a directory cannot be synced, renames are journaled by NTFS and this does nothing.
    /// </summary>
    public static void SyncDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        int descriptor = open(path, OpenReadOnly | (OperatingSystem.IsLinux() ? CloseOnExec : 0), 0);
        if (descriptor < 0)
        {
            throw Failure($"The directory '{path}' cannot be opened to sync it");
        }

        try
        {
            // Some network file systems answer EINVAL: they have nothing to sync a directory to.
            if (fsync(descriptor) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
            {
                throw Failure($"The directory '{path}' cannot be synced");
            }
        }
        finally
        {
            _ = close(descriptor);
        }
    }

    /// <summary>
    /// Lets the system begin to write a part of a file to the disk (sync_file_range(2)). By itself it waits until much has gathered, a tenth of the memory by
    /// default, and the sync at the end then finds all of it undone. This makes nothing durable, so whether it works does not matter.
    /// </summary>
    public static void StartWriteback(SafeFileHandle file, long offset, long length)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = sync_file_range(file, offset, length, SyncFileRangeWrite);
        }
    }

    /// <summary>
    /// Removes a System V shared memory segment (shmctl(2)), which outlives every process that used it. Memory that is gone already, or belongs to
    /// somebody else, is left.
    /// </summary>
    public static void RemoveSharedMemory(int id)
    {
        if (!OperatingSystem.IsWindows())
        {
            _ = shmctl(id, RemoveIdentifier, 0);
        }
    }

    /// <summary>Renames a file and never replaces another. Returns false where <paramref name="destination"/> exists.</summary>
    /// <remarks>
    /// On Linux by renameat2(RENAME_NOREPLACE); where the file system lacks it, by link and unlink, which has the same effect for a file.
    /// </remarks>
    public static bool TryMoveNew(string source, string destination)
    {
        if (OperatingSystem.IsWindows())
        {
            try
            {
                File.Move(source, destination, overwrite: false);
                return true;
            }
            catch (IOException) when (File.Exists(destination))
            {
                return false;
            }
        }

        if (OperatingSystem.IsLinux())
        {
            if (renameat2(CurrentDirectory, source, CurrentDirectory, destination, RenameNoReplace) == 0)
            {
                return true;
            }

            int error = Marshal.GetLastPInvokeError();
            if (error == FileExists)
            {
                return false;
            }

            if (error is not (InvalidArgument or NotImplemented))
            {
                throw Failure($"'{source}' cannot be renamed to '{destination}'", error);
            }
        }

        if (link(source, destination) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            return error == FileExists ? false : throw Failure($"'{source}' cannot be linked to '{destination}'", error);
        }

        File.Delete(source);
        return true;
    }

    /// <summary>
    /// Renames a file or a link and replaces what has the name already, in one step (rename(2)). .NET's own looks at what a link points
    /// to, and so does not move one to a directory.
    /// </summary>
    [UnsupportedOSPlatform("windows")]
    public static void Replace(string source, string destination)
    {
        if (rename(source, destination) != 0)
        {
            throw Failure($"'{source}' cannot be renamed to '{destination}'");
        }
    }

    /// <summary>The user and group that own a file or directory; links are followed.</summary>
    [UnsupportedOSPlatform("windows")]
    public static (uint User, uint Group) GetOwner(string path)
    {
        // struct statx (linux/stat.h) has the same layout on every architecture: stx_uid at 20, stx_gid at 24.
        Span<byte> buffer = stackalloc byte[256];
        return statx(CurrentDirectory, path, 0, 0x18, ref MemoryMarshal.GetReference(buffer)) == 0
            ? (MemoryMarshal.Read<uint>(buffer[20..]), MemoryMarshal.Read<uint>(buffer[24..]))
            : throw Failure($"The owner of '{path}' cannot be read");
    }

    /// <summary>Gives a file, directory or link to a user; the link itself, not what it points to.</summary>
    [UnsupportedOSPlatform("windows")]
    public static void SetOwner(string path, uint user, uint group)
    {
        if (lchown(path, user, group) != 0)
        {
            throw Failure($"'{path}' cannot be given to user {user}");
        }
    }

    private static IOException Failure(string what, int? error = null)
    {
        int code = error ?? Marshal.GetLastPInvokeError();
        return new IOException($"{what}: {new Win32Exception(code).Message}.", code);
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc")]
    private static partial int sync_file_range(SafeFileHandle descriptor, long offset, long length, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc")]
    private static partial int shmctl(int id, int command, nint buffer);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string source, string destination);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rename(string source, string destination);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int renameat2(int sourceDirectory, string source, int destinationDirectory, string destination, uint flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int lchown(string path, uint user, uint group);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, ref byte result);
}
