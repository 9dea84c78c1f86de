using System.Runtime.InteropServices;

namespace SmcDr.Core.Platform;

/// <summary>
/// The extended attributes of a file (xattr(7)), POSIX access control lists, capabilities and security labels among them. Names are in
/// the form of <see cref="NativeName"/>.
/// </summary>
internal static unsafe class ExtendedAttributes
{
    public const string AccessList = "system.posix_acl_access";
    public const string DefaultAccessList = "system.posix_acl_default";
    private const int MaximumSize = 64 << 10;

    // Attributes by which file systems tell of themselves; they cannot be set.
    private static readonly string[] s_ofTheFileSystem = ["system.nfs4_acl", "system.cifs_acl", "system.ntfs", "ceph.", "lustre."];

    private delegate nint Call(byte* path, byte* name, byte* buffer, nint size);

    /// <summary>All attributes; null where there are none.</summary>
    public static SortedDictionary<string, byte[]>? Read(NativeFile file) => Read(
        null,
        file.Path,
        (_, _, buffer, size) => LinuxCalls.flistxattr(file.Descriptor, buffer, size),
        (_, name, buffer, size) => LinuxCalls.fgetxattr(file.Descriptor, name, buffer, size));

    /// <summary>All attributes of something that cannot be opened; null where there are none.</summary>
    public static SortedDictionary<string, byte[]>? Read(DirectoryHandle directory, byte[] name) => Read(
        directory.ProcPathOf(name),
        directory.PathOf(name),
        static (path, _, buffer, size) => LinuxCalls.llistxattr(path, buffer, size),
        LinuxCalls.lgetxattr);

    public static void Set(NativeFile file, string name, byte[] value)
    {
        fixed (byte* pointer = NativeName.ToBytes(name), bytes = value)
        {
            if (LinuxCalls.fsetxattr(file.Descriptor, pointer, bytes, value.Length, 0) < 0)
            {
                throw new PosixException(Marshal.GetLastPInvokeError(), $"Cannot set the attribute '{name}' of '{file.Path}'");
            }
        }
    }

    public static void Set(DirectoryHandle directory, byte[] fileName, string name, byte[] value)
    {
        fixed (byte* path = directory.ProcPathOf(fileName), pointer = NativeName.ToBytes(name), bytes = value)
        {
            if (LinuxCalls.lsetxattr(path, pointer, bytes, value.Length, 0) < 0)
            {
                throw new PosixException(
                    Marshal.GetLastPInvokeError(), $"Cannot set the attribute '{name}' of '{directory.PathOf(fileName)}'");
            }
        }
    }

    /// <summary>Whether a file has an attribute.</summary>
    public static bool Has(NativeFile file, string name)
    {
        fixed (byte* pointer = NativeName.ToBytes(name))
        {
            return LinuxCalls.fgetxattr(file.Descriptor, pointer, null, 0) >= 0;
        }
    }

    /// <summary>Removes an attribute. An absent one is no error.</summary>
    public static void Remove(NativeFile file, string name)
    {
        fixed (byte* pointer = NativeName.ToBytes(name))
        {
            if (LinuxCalls.fremovexattr(file.Descriptor, pointer) < 0 &&
                Marshal.GetLastPInvokeError() is var error and not (PosixException.NoData or PosixException.NotSupported))
            {
                throw new PosixException(error, $"Cannot remove the attribute '{name}' of '{file.Path}'");
            }
        }
    }

    private static SortedDictionary<string, byte[]>? Read(byte[]? path, string shownPath, Call list, Call get)
    {
        fixed (byte* pathPointer = path)
        {
            byte[]? names = ReadValue(pathPointer, null, list, shownPath);
            if (names is null || names.Length == 0)
            {
                return null;
            }

            SortedDictionary<string, byte[]> result = new(StringComparer.Ordinal);
            foreach (Range range in names.AsSpan().Split((byte)0))
            {
                ReadOnlySpan<byte> name = names.AsSpan()[range];
                string text = NativeName.Escape(name);
                if (name.IsEmpty || s_ofTheFileSystem.Any(prefix => text.StartsWith(prefix, StringComparison.Ordinal)))
                {
                    continue;
                }

                fixed (byte* namePointer = NativeName.ToBytes(text))
                {
                    if (ReadValue(pathPointer, namePointer, get, shownPath) is { } value)
                    {
                        result.Add(text, value);
                    }
                }
            }

            return result.Count == 0 ? null : result;
        }
    }

    /// <summary>A value that may grow between the question for its size and the reading; null where it is not there or not for us.</summary>
    private static byte[]? ReadValue(byte* path, byte* name, Call call, string shownPath)
    {
        byte* first = stackalloc byte[512];
        nint length = call(path, name, first, 512);
        if (length >= 0)
        {
            return new ReadOnlySpan<byte>(first, (int)length).ToArray();
        }

        if (Marshal.GetLastPInvokeError() == PosixException.RangeTooSmall)
        {
            byte[] large = new byte[MaximumSize];
            fixed (byte* buffer = large)
            {
                length = call(path, name, buffer, MaximumSize);
                if (length >= 0)
                {
                    return large[..(int)length];
                }
            }
        }

        return Marshal.GetLastPInvokeError() switch
        {
            PosixException.NoData or PosixException.NotSupported or PosixException.NotPermitted or PosixException.AccessDenied => null,
            int error => throw new PosixException(error, $"Cannot read the attributes of '{shownPath}'"),
        };
    }
}
