using SmcDr.Core.Platform;

namespace SmcDr.Core.FileStores;

/// <summary>Walks a tree in the order of manifests, so that it can be compared with an earlier one line by line. Links are not followed.</summary>
/// <param name="root">The root.</param>
/// <param name="exclude">What is left out.</param>
/// <param name="oneFileSystem">Whether other file systems are left out.</param>
/// <param name="repositoryDirectory">Device and inode of the repository, which does not back up itself.</param>
/// <param name="tally">Takes what could not be read and what was left out.</param>
internal sealed class TreeScanner(
    DirectoryHandle root,
    IReadOnlyList<PathPattern> exclude,
    bool oneFileSystem,
    (ulong FileSystem, ulong Inode)? repositoryDirectory,
    FileStoreTally tally)
{
    /// <remarks>
    /// Paths are in ordinal order, in which <c>a-b</c> stands between <c>a</c> and <c>a/b</c>. So a directory has two places among its
    /// siblings: its own, and that of what is below it, which is that of its name with a slash.
    /// </remarks>
    public IEnumerable<ScannedEntry> Scan()
    {
        ulong fileSystem = root.GetStatus().FileSystem;
        Stack<Level> levels = new();
        levels.Push(List(root.Retain(), ""));
        try
        {
            while (levels.TryPeek(out Level? level))
            {
                if (level.Next == level.Items.Count)
                {
                    levels.Pop().Dispose();
                    continue;
                }

                Item item = level.Items[level.Next];
                level.Items[level.Next++] = default;
                if (item.IsBelow)
                {
                    if (level.Opened.Remove(item.Key, out DirectoryHandle? directory))
                    {
                        levels.Push(List(directory, level.Prefix + item.Key));
                    }
                }
                else if (Look(level, item, fileSystem) is { } entry)
                {
                    yield return entry;
                }
            }
        }
        finally
        {
            foreach (Level level in levels)
            {
                level.Dispose();
            }
        }
    }

    private ScannedEntry? Look(Level level, Item item, ulong fileSystem)
    {
        string path = level.Prefix + item.Key;
        if (exclude.Count > 0 && NativeName.Display(path) is var shown && exclude.Any(pattern => pattern.Matches(shown)))
        {
            return null;
        }

        try
        {
            FileStatus status = level.Directory.GetStatus(item.Name);
            DirectoryHandle? self = null;
            if (status.Type == FileType.Directory)
            {
                // Regular files may show another device than their directory on overlayfs; directories never do.
                if (oneFileSystem && status.FileSystem != fileSystem)
                {
                    tally.Skipped(path, "is on another file system, and what it holds was left out");
                }
                else if ((status.FileSystem, status.Inode) == repositoryDirectory)
                {
                    tally.Skipped(path, "is the repository itself, and what it holds was left out");
                }
                else
                {
                    self = TryOpen(level, item, path);
                }
            }

            return new ScannedEntry(path, level.Directory, item.Name, status, self);
        }
        catch (PosixException e) when (e.IsGone)
        {
            tally.Vanished(path);
        }
        catch (PosixException e)
        {
            tally.Unreadable(path, e);
        }

        return null;
    }

    private DirectoryHandle? TryOpen(Level level, Item item, string path)
    {
        try
        {
            DirectoryHandle directory = level.Directory.OpenDirectory(item.Name);
            level.Opened.Add(item.Key + "/", directory);
            return directory;
        }
        catch (PosixException e) when (!e.IsGone)
        {
            tally.Unreadable(path, e);
            return null;
        }
    }

    private Level List(DirectoryHandle directory, string prefix)
    {
        List<Item> items = [];
        try
        {
            foreach ((byte[] name, bool isDirectory) in directory.ReadNames())
            {
                string text = NativeName.Escape(name.AsSpan()[..^1]);
                items.Add(new Item(text, name, false));
                if (isDirectory)
                {
                    items.Add(new Item(text + "/", name, true));
                }
            }
        }
        catch (PosixException e)
        {
            tally.Unreadable(prefix.TrimEnd('/'), e);
        }

        items.Sort(static (left, right) => string.CompareOrdinal(left.Key, right.Key));
        return new Level(directory, prefix, items);
    }

    private readonly record struct Item(string Key, byte[] Name, bool IsBelow);

    private sealed class Level(DirectoryHandle directory, string prefix, List<Item> items) : IDisposable
    {
        public DirectoryHandle Directory => directory;

        public string Prefix => prefix;

        public List<Item> Items => items;

        public int Next { get; set; }

        public Dictionary<string, DirectoryHandle> Opened { get; } = new(StringComparer.Ordinal);

        public void Dispose()
        {
            directory.Release();
            foreach (DirectoryHandle opened in Opened.Values)
            {
                opened.Release();
            }
        }
    }
}
