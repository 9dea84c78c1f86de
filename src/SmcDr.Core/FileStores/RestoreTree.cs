using SmcDr.Core.Platform;

namespace SmcDr.Core.FileStores;

/// <summary>
/// The directories of a restore's target. Each is reached from the root name by name without following links, so nothing that
/// anybody plants in the target leads out of it. For one thread.
/// </summary>
internal sealed class RestoreTree(DirectoryHandle root) : IDisposable
{
    /// <summary>So many directories are kept open.</summary>
    public const int MaximumOpen = 128;

    private readonly Dictionary<string, DirectoryHandle> _open = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();

    /// <summary>The root.</summary>
    public DirectoryHandle Root => root;

    /// <summary>The directory of a path and the name in it.</summary>
    public static (string Directory, byte[] Name) Split(string path)
    {
        int slash = path.LastIndexOf('/');
        return slash < 0 ? ("", NativeName.PartToBytes(path)) : (path[..slash], NativeName.PartToBytes(path[(slash + 1)..]));
    }

    /// <summary>A directory below the root, whose own path is empty; null where it is absent. Valid until the next call, unless retained.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: something else has its name, such as a link.</exception>
    public DirectoryHandle? TryOpen(string path) => Open(path, create: false);

    /// <summary>As <see cref="TryOpen"/>; what is absent is created.</summary>
    public DirectoryHandle OpenOrCreate(string path) => Open(path, create: true)!;

    public void Dispose()
    {
        foreach (DirectoryHandle directory in _open.Values)
        {
            directory.Release();
        }

        _open.Clear();
    }

    private DirectoryHandle? Open(string path, bool create)
    {
        if (path.Length == 0)
        {
            return root;
        }

        if (_open.TryGetValue(path, out DirectoryHandle? known))
        {
            return known;
        }

        (string parentPath, byte[] name) = Split(path);
        DirectoryHandle? parent = Open(parentPath, create);
        if (parent is null)
        {
            return null;
        }

        try
        {
            if (create)
            {
                parent.CreateDirectory(name);
            }

            DirectoryHandle directory = parent.OpenDirectory(name);
            if (create)
            {
                MakeWritable(directory);
            }

            Keep(path, directory);
            return directory;
        }
        catch (PosixException e) when (e.Error == PosixException.NoSuchFile && !create)
        {
            return null;
        }
        catch (PosixException e) when (e.Error is PosixException.NotADirectory or PosixException.TooManyLinks)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"'{parent.PathOf(name)}' is a link or a file where the backup has a directory, so nothing is restored below it.",
                e,
                recommendation: "Move it away, or restore to an empty directory.",
                target: parent.PathOf(name));
        }
    }

    /// <summary>A directory without the right to write gets its mode last; an interrupted restore may have come so far.</summary>
    private static void MakeWritable(DirectoryHandle directory)
    {
        const int OwnerAll = 0x1C0;
        if (!Posix.IsRoot && directory.GetStatus().Mode is var mode && (mode & OwnerAll) != OwnerAll)
        {
            directory.SetMode(mode | OwnerAll);
        }
    }

    private void Keep(string path, DirectoryHandle directory)
    {
        while (_open.Count >= MaximumOpen && _order.TryDequeue(out string? oldest))
        {
            if (_open.Remove(oldest, out DirectoryHandle? old))
            {
                old.Release();
            }
        }

        _open.Add(path, directory);
        _order.Enqueue(path);
    }
}
