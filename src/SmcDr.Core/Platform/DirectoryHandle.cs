using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace SmcDr.Core.Platform;

/// <summary>
/// An open directory. All work goes through it by single names, so that neither a link nor a directory that is swapped meanwhile leads
/// anywhere else. Shared by count: whoever keeps it calls <see cref="Retain"/> and <see cref="Release"/>.
/// </summary>
internal sealed unsafe class DirectoryHandle : NativeFile
{
    private const int StatxSize = 256;
    private const int LinkSize = 4096;

    // struct dirent of 64-bit systems: d_type at 18, d_name at 19.
    private const int TypeOffset = 18;
    private const int NameOffset = 19;
    private const byte UnknownType = 0;
    private const byte DirectoryType = 4;

    private bool? _hasDefaultAccessList;
    private int _uses = 1;

    private DirectoryHandle(int descriptor, string path)
        : base(descriptor, path)
    {
    }

    /// <summary>Opens the root of a tree. Here alone links are followed: the path is the operator's.</summary>
    public static DirectoryHandle OpenRoot(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return Open(LinuxCalls.CurrentDirectory, name, 0, path);
        }
    }

    /// <summary>Whether new files in it inherit an access control list.</summary>
    public bool HasDefaultAccessList =>
        _hasDefaultAccessList ??= ExtendedAttributes.Has(this, ExtendedAttributes.DefaultAccessList);

    /// <summary>Whether names can be added to it: it is writable for this account, and not on a file system that is mounted to be read.</summary>
    public bool IsWritable
    {
        get
        {
            const int Write = 2;
            fixed (byte* self = "."u8)
            {
                return LinuxCalls.faccessat(Descriptor, self, Write, 0) == 0;
            }
        }
    }

    public DirectoryHandle Retain()
    {
        Interlocked.Increment(ref _uses);
        return this;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _uses) == 0)
        {
            Dispose();
        }
    }

    /// <summary>The path of something in it, for messages.</summary>
    public string PathOf(ReadOnlySpan<byte> name) => $"{Path}/{NativeName.Escape(name.TrimEnd((byte)0))}";

    public DirectoryHandle OpenDirectory(byte[] name)
    {
        fixed (byte* pointer = name)
        {
            return Open(Descriptor, pointer, LinuxCalls.NoFollow, PathOf(name));
        }
    }

    /// <summary>Opens a file for reading, without waiting where it is a pipe and without changing its access time where that is allowed.</summary>
    public NativeFile OpenFile(byte[] name)
    {
        int flags = LinuxCalls.ReadOnly | LinuxCalls.NoFollow | LinuxCalls.NonBlocking | LinuxCalls.CloseOnExec;
        fixed (byte* pointer = name)
        {
            int descriptor = LinuxCalls.openat(Descriptor, pointer, flags | LinuxCalls.NoAccessTime, 0);
            if (descriptor < 0 && Marshal.GetLastPInvokeError() == PosixException.NotPermitted)
            {
                // Only a file's owner and root may leave its access time alone (open(2)).
                descriptor = LinuxCalls.openat(Descriptor, pointer, flags, 0);
            }

            return new NativeFile((int)Check(descriptor, "open", name), PathOf(name));
        }
    }

    /// <summary>Creates a file that nobody else can read yet.</summary>
    public NativeFile CreateFile(byte[] name)
    {
        const int OwnerOnly = 0x180;
        int flags = LinuxCalls.WriteOnly | LinuxCalls.Create | LinuxCalls.Exclusive | LinuxCalls.NoFollow | LinuxCalls.CloseOnExec;
        fixed (byte* pointer = name)
        {
            return new NativeFile((int)Check(LinuxCalls.openat(Descriptor, pointer, flags, OwnerOnly), "create", name), PathOf(name));
        }
    }

    /// <summary>The status of a name, of the link itself where it is one.</summary>
    public FileStatus GetStatus(byte[] name) =>
        TryGetStatus(name) ?? throw new PosixException(PosixException.NoSuchFile, $"Cannot read the status of '{PathOf(name)}'");

    /// <summary>The status of a name; null where there is none.</summary>
    public FileStatus? TryGetStatus(byte[] name)
    {
        byte* buffer = stackalloc byte[StatxSize];
        fixed (byte* pointer = name)
        {
            int result = LinuxCalls.statx(
                Descriptor, pointer, LinuxCalls.LinkItself | LinuxCalls.NoAutomount, LinuxCalls.BasicStatus, buffer);
            if (result < 0 && Marshal.GetLastPInvokeError() == PosixException.NoSuchFile)
            {
                return null;
            }

            Check(result, "read the status of", name);
            return FileStatus.FromStatx(new ReadOnlySpan<byte>(buffer, StatxSize));
        }
    }

    /// <summary>Its names, each with whether it is a directory, in no order.</summary>
    public List<(byte[] Name, bool IsDirectory)> ReadNames()
    {
        List<(byte[], bool)> names = [];
        nint stream;
        fixed (byte* self = "."u8)
        {
            // A description of its own, so that the position is nobody else's.
            int descriptor = (int)Check(LinuxCalls.openat(
                Descriptor, self, LinuxCalls.ReadOnly | LinuxCalls.DirectoryOnly | LinuxCalls.CloseOnExec, 0), "open");
            stream = LinuxCalls.fdopendir(descriptor);
            if (stream == 0)
            {
                int error = Marshal.GetLastPInvokeError();
                _ = LinuxCalls.close(descriptor);
                throw new PosixException(error, $"Cannot list '{Path}'");
            }
        }

        try
        {
            byte* entry;
            while ((entry = LinuxCalls.readdir(stream)) is not null)
            {
                ReadOnlySpan<byte> name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(entry + NameOffset);
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                {
                    byte[] copy = new byte[name.Length + 1];
                    name.CopyTo(copy);
                    byte type = entry[TypeOffset];
                    names.Add((copy, type == UnknownType ? TryGetStatus(copy)?.Type == FileType.Directory : type == DirectoryType));
                }
            }

            int error = Marshal.GetLastPInvokeError();
            return error == 0 ? names : throw new PosixException(error, $"Cannot list '{Path}'");
        }
        finally
        {
            _ = LinuxCalls.closedir(stream);
        }
    }

    public byte[] ReadLink(byte[] name)
    {
        byte[] target = new byte[LinkSize];
        fixed (byte* pointer = name, buffer = target)
        {
            long length = Check(LinuxCalls.readlinkat(Descriptor, pointer, buffer, LinkSize), "read the link", name);
            return target[..(int)length];
        }
    }

    /// <summary>Creates a directory that nobody else can enter yet, unless the name is taken, by whatever it be.</summary>
    public void CreateDirectory(byte[] name)
    {
        const int OwnerOnly = 0x1C0;
        fixed (byte* pointer = name)
        {
            int result = LinuxCalls.mkdirat(Descriptor, pointer, OwnerOnly);
            if (result < 0 && Marshal.GetLastPInvokeError() != PosixException.FileExists)
            {
                Check(result, "create the directory", name);
            }
        }
    }

    /// <param name="name">The link's name.</param>
    /// <param name="target">Where it points to, ended by a zero.</param>
    public void CreateLink(byte[] name, byte[] target)
    {
        fixed (byte* pointer = name, to = target)
        {
            Check(LinuxCalls.symlinkat(to, Descriptor, pointer), "create the link", name);
        }
    }

    public void CreateHardLink(byte[] name, DirectoryHandle sourceDirectory, byte[] source)
    {
        fixed (byte* pointer = name, from = source)
        {
            Check(LinuxCalls.linkat(sourceDirectory.Descriptor, from, Descriptor, pointer, 0), "create the hard link", name);
        }
    }

    public void CreateSpecial(byte[] name, FileType type, uint major, uint minor)
    {
        const int OwnerOnly = 0x180;
        fixed (byte* pointer = name)
        {
            if (type == FileType.Fifo)
            {
                Check(LinuxCalls.mkfifoat(Descriptor, pointer, OwnerOnly), "create the pipe", name);
                return;
            }

            // gnu_dev_makedev of glibc; musl packs the same way.
            ulong device = ((ulong)(major & 0xFFFFF000) << 32) | ((ulong)(major & 0xFFF) << 8) |
                ((ulong)(minor & 0xFFFFFF00) << 12) | (minor & 0xFF);
            Check(LinuxCalls.mknodat(Descriptor, pointer, (int)type | OwnerOnly, device), "create the device file", name);
        }
    }

    /// <summary>Renames within the directory. Returns false where the name is taken and may not be replaced.</summary>
    public bool TryRename(byte[] source, byte[] name, bool replace)
    {
        fixed (byte* from = source, pointer = name)
        {
            int result = LinuxCalls.renameat2(
                Descriptor, from, Descriptor, pointer, replace ? 0 : LinuxCalls.RenameNoReplace);
            int error = result < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (error is PosixException.InvalidArgument or PosixException.NotImplemented && !replace)
            {
                // A file system without RENAME_NOREPLACE: a hard link is refused just as well where the name is taken.
                result = LinuxCalls.linkat(Descriptor, from, Descriptor, pointer, 0);
                error = result < 0 ? Marshal.GetLastPInvokeError() : LinuxCalls.unlinkat(Descriptor, from, 0);
            }

            return error switch
            {
                0 => true,
                PosixException.FileExists when !replace => false,
                _ => throw new PosixException(error, $"Cannot rename to '{PathOf(name)}'"),
            };
        }
    }

    /// <summary>Removes a name that is no directory. An absent one is no error.</summary>
    public void Remove(byte[] name)
    {
        fixed (byte* pointer = name)
        {
            if (LinuxCalls.unlinkat(Descriptor, pointer, 0) < 0 && Marshal.GetLastPInvokeError() is var error and not PosixException.NoSuchFile)
            {
                throw new PosixException(error, $"Cannot remove '{PathOf(name)}'");
            }
        }
    }

    /// <summary>Removes an empty directory. An absent one is no error.</summary>
    public void RemoveDirectory(byte[] name)
    {
        fixed (byte* pointer = name)
        {
            if (LinuxCalls.unlinkat(Descriptor, pointer, LinuxCalls.RemoveDirectory) < 0 && Marshal.GetLastPInvokeError() is var error and not PosixException.NoSuchFile)
            {
                throw new PosixException(error, $"Cannot remove the directory '{PathOf(name)}'");
            }
        }
    }

    public void SetOwner(byte[] name, uint user, uint group)
    {
        fixed (byte* pointer = name)
        {
            Check(LinuxCalls.fchownat(Descriptor, pointer, user, group, LinuxCalls.LinkItself), "change the owner of", name);
        }
    }

    /// <summary>Sets the mode of something that cannot be opened, such as a pipe; never of what a link points to.</summary>
    public void SetMode(byte[] name, int mode)
    {
        fixed (byte* pointer = name)
        {
            int descriptor = (int)Check(LinuxCalls.openat(
                Descriptor, pointer, LinuxCalls.PathOnly | LinuxCalls.NoFollow | LinuxCalls.CloseOnExec, 0), "open", name);
            using NativeFile file = new(descriptor, PathOf(name));
            fixed (byte* path = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{descriptor}\0")))
            {
                Check(LinuxCalls.chmod(path, mode), "change the mode of", name);
            }
        }
    }

    public void SetModified(byte[] name, FileTime time)
    {
        long* times = stackalloc long[] { 0, LinuxCalls.TimeOmitted, time.Seconds, time.Nanoseconds };
        fixed (byte* pointer = name)
        {
            Check(LinuxCalls.utimensat(Descriptor, pointer, times, LinuxCalls.LinkItself), "set the time of", name);
        }
    }

    /// <summary>A path by which calls that know no directory reach a name in this one, without following the name itself.</summary>
    public byte[] ProcPathOf(byte[] name) =>
        [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{Descriptor}/")), .. name];

    private static DirectoryHandle Open(int directory, byte* name, int flags, string path)
    {
        int descriptor = LinuxCalls.openat(
            directory, name, LinuxCalls.ReadOnly | LinuxCalls.DirectoryOnly | LinuxCalls.CloseOnExec | flags, 0);
        return descriptor >= 0
            ? new DirectoryHandle(descriptor, path)
            : throw new PosixException(Marshal.GetLastPInvokeError(), $"Cannot open the directory '{path}'");
    }

    private long Check(long result, string what, byte[] name) => result >= 0
        ? result
        : throw new PosixException(Marshal.GetLastPInvokeError(), $"Cannot {what} '{PathOf(name)}'");
}
