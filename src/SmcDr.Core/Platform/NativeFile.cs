using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace SmcDr.Core.Platform;

/// <summary>An open file or directory of Linux, and what can be done with it by its descriptor.</summary>
internal unsafe class NativeFile : SafeHandleMinusOneIsInvalid
{
    private const int StatxSize = 256;
    private const int SparsePage = 4096;

    public NativeFile(int descriptor, string path)
        : base(ownsHandle: true)
    {
        SetHandle(descriptor);
        Path = path;
    }

    /// <summary>Its path, for messages.</summary>
    public string Path { get; }

    public int Descriptor => (int)handle;

    /// <summary>Opens a file or directory by its path, without waiting where it is a pipe; a link at its end is not followed.</summary>
    public static NativeFile OpenForReading(string path)
    {
        int flags = LinuxCalls.ReadOnly | LinuxCalls.NoFollow | LinuxCalls.NonBlocking | LinuxCalls.CloseOnExec;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            int descriptor = LinuxCalls.openat(LinuxCalls.CurrentDirectory, name, flags, 0);
            return descriptor >= 0
                ? new NativeFile(descriptor, path)
                : throw new PosixException(Marshal.GetLastPInvokeError(), $"Cannot open '{path}'");
        }
    }

    public FileStatus GetStatus()
    {
        byte* buffer = stackalloc byte[StatxSize];
        byte empty = 0;
        Check(LinuxCalls.statx(Descriptor, &empty, LinuxCalls.EmptyPath, LinuxCalls.BasicStatus, buffer), "read the status of");
        return FileStatus.FromStatx(new ReadOnlySpan<byte>(buffer, StatxSize));
    }

    /// <summary>Reads until the buffer is full or the file ends.</summary>
    public int Read(Span<byte> buffer, long offset)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            nint read;
            fixed (byte* to = buffer[done..])
            {
                read = LinuxCalls.pread(Descriptor, to, buffer.Length - done, offset + done);
            }

            if (read == 0)
            {
                break;
            }

            if (!IsInterrupted(read))
            {
                Check(read, "read");
                done += (int)read;
            }
        }

        return done;
    }

    public void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        while (!bytes.IsEmpty)
        {
            nint written;
            fixed (byte* from = bytes)
            {
                written = LinuxCalls.pwrite(Descriptor, from, bytes.Length, offset);
            }

            if (!IsInterrupted(written))
            {
                Check(written, "write");
                bytes = bytes[(int)written..];
                offset += written;
            }
        }
    }

    /// <summary>Writes what is not zeros, in pages, into a file whose holes read as zeros.</summary>
    public void WriteSparse(ReadOnlySpan<byte> bytes, long offset)
    {
        int length = bytes.Length;
        int at = 0;
        while (at < bytes.Length)
        {
            int end = at;
            while (end < bytes.Length)
            {
                int page = NextPage(end);
                if (!bytes[end..page].ContainsAnyExcept((byte)0))
                {
                    break;
                }

                end = page;
            }

            Write(bytes[at..end], offset + at);
            at = end < bytes.Length ? NextPage(end) : end;
        }

        // Pages of the file, not of the block: a block may begin anywhere.
        int NextPage(int position) =>
            (int)Math.Min(length, ((offset + position) / SparsePage * SparsePage) + SparsePage - offset);
    }

    public void SetLength(long length) => Check(LinuxCalls.ftruncate(Descriptor, length), "set the length of");

    /// <summary>The first byte from <paramref name="offset"/> on that is not in a hole; null where only holes follow.</summary>
    public long? FindData(long offset)
    {
        long found = LinuxCalls.lseek(Descriptor, offset, LinuxCalls.SeekData);
        if (found >= 0)
        {
            return found;
        }

        // ENXIO: nothing but holes. EINVAL: the file system cannot tell.
        return Marshal.GetLastPInvokeError() switch
        {
            PosixException.NoSuchDeviceOrAddress => null,
            PosixException.InvalidArgument => offset,
            int error => throw new PosixException(error, $"Cannot read '{Path}'"),
        };
    }

    public void SetOwner(uint user, uint group) => Check(LinuxCalls.fchown(Descriptor, user, group), "change the owner of");

    public void SetMode(int mode) => Check(LinuxCalls.fchmod(Descriptor, mode), "change the mode of");

    public void SetModified(FileTime time)
    {
        long* times = stackalloc long[] { 0, LinuxCalls.TimeOmitted, time.Seconds, time.Nanoseconds };
        Check(LinuxCalls.futimens(Descriptor, times), "set the time of");
    }

    /// <summary>Takes the advisory lock, which ends with the handle. False where another process has it.</summary>
    public bool TryLock()
    {
        const int WouldBlock = 11;
        // A program that this process starts has all its open files, also one that is closed meanwhile, from fork(2) to execve(2), and their locks with them.
        const int Attempts = 25;
        for (int i = 1; ; i++)
        {
            int result = LinuxCalls.flock(Descriptor, LinuxCalls.LockExclusive | LinuxCalls.LockNonBlocking);
            if (result >= 0 || Marshal.GetLastPInvokeError() != WouldBlock)
            {
                Check(result, "lock");
                return true;
            }

            if (i == Attempts)
            {
                return false;
            }

            Thread.Sleep(20);
        }
    }

    /// <summary>Makes the file, or the names in the directory, durable.</summary>
    public void Sync() => Check(LinuxCalls.fsync(Descriptor), "sync");

    /// <summary>Lets the system begin to write a part of the file to the disk, see <see cref="Posix.StartWriteback"/>.</summary>
    public void StartWriteback(long offset, long length) => _ = LinuxCalls.sync_file_range(Descriptor, offset, length, LinuxCalls.WriteRange);

    /// <summary>Makes everything that was written to this file system durable.</summary>
    public void SyncFileSystem() => Check(LinuxCalls.syncfs(Descriptor), "sync the file system of");

    protected override bool ReleaseHandle() => LinuxCalls.close((int)handle) == 0;

    protected long Check(long result, string what) => result >= 0
        ? result
        : throw new PosixException(Marshal.GetLastPInvokeError(), $"Cannot {what} '{Path}'");

    private static bool IsInterrupted(nint result)
    {
        const int Interrupted = 4;
        return result < 0 && Marshal.GetLastPInvokeError() == Interrupted;
    }
}
