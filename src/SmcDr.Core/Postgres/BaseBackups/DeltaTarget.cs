using System.Globalization;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// The directory of a delta restore, with what lies in it. Whether it may be changed at all is found out before anything is, since what
/// is overwritten or removed there has no other copy.
/// </summary>
internal sealed class DeltaTarget
{
    private const string LostAndFound = "lost+found";

    private readonly RestoreLayout _layout;
    private readonly HashSet<string> _directories;
    private readonly HashSet<string> _files;
    private readonly HashSet<string> _links;
    private readonly List<FileSystemInfo> _surplus = [];

    private DeltaTarget(RestoreLayout layout, IEnumerable<string> directories, IEnumerable<string> files)
    {
        _layout = layout;
        _directories = new HashSet<string>(directories, StringComparer.Ordinal);
        _files = new HashSet<string>(files, StringComparer.Ordinal)
        {
            Path.Combine(layout.Root, RestoreJournal.FileName),
        };
        string links = Path.Combine(layout.Root, BackupFileRules.Tablespaces);
        _links = layout.Links.Select(link => Path.Combine(links, link.Key)).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>Throws where a directory, which is not empty, is none that a delta restore of a backup may go to.</summary>
    /// <param name="layout">Where the backup goes.</param>
    /// <param name="header">The backup.</param>
    /// <param name="force">Whether a data directory of another cluster, or of one that cannot be told, is overwritten.</param>
    public static void Check(RestoreLayout layout, BackupHeader header, bool force)
    {
        string root = layout.Root;
        if (HostServer.FindRunning(root) is { } running)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse, $"A server (process {running.ProcessId}) runs in '{root}'.", target: root);
        }

        RestoreJournal? journal = RestoreJournal.TryRead(root);
        bool ours = journal is not null && journal.SystemId == header.Database!.SystemId;
        if (!ours)
        {
            CheckCluster(root, header, force);
        }

        string links = Path.Combine(root, BackupFileRules.Tablespaces);
        HashSet<string?> known =
        [
            .. ours ? journal!.Tablespaces : [],
            .. Directory.Exists(links) ? Directory.EnumerateFileSystemEntries(links).Select(static link => new FileInfo(link).LinkTarget) : [],
        ];
        foreach (string location in layout.TablespaceDirectories)
        {
            if (HostServer.FindServerUsing(location) is { } server)
            {
                throw new SmcException(
                    SmcErrorCode.TargetInUse, $"A server (process {server}) uses '{location}' for a tablespace.", target: location);
            }

            if (!IsEmpty(location) && !known.Contains(location))
            {
                throw new SmcException(
                    SmcErrorCode.TargetNotEmpty,
                    $"The directory '{location}' is not empty, and no tablespace of the cluster in '{root}'.",
                    target: location);
            }
        }
    }

    /// <summary>Lists what is in the way, and changes nothing.</summary>
    /// <param name="layout">Where the backup goes.</param>
    /// <param name="directories">The directories of the backup.</param>
    /// <param name="files">Its files.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: a link lies where a directory must be.</exception>
    public static DeltaTarget Scan(RestoreLayout layout, IEnumerable<string> directories, IEnumerable<string> files)
    {
        DeltaTarget target = new(layout, directories, files);
        target.Scan(new DirectoryInfo(layout.Root));

        // Of a tablespace's directory, only what belongs to this version of PostgreSQL: another one may have its own beside it.
        foreach (string directory in target._directories.Where(d => layout.TablespaceDirectories.Contains(Path.GetDirectoryName(d)!)))
        {
            if (new DirectoryInfo(directory) is { Exists: true } info)
            {
                RefuseLink(info);
                target.Scan(info);
            }
        }

        return target;
    }

    /// <summary>Removes what is in the way; returns how many files and links that were.</summary>
    public long RemoveSurplus(CancellationToken cancellationToken)
    {
        long count = 0;
        foreach (FileSystemInfo surplus in _surplus)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (surplus is DirectoryInfo { LinkTarget: null } directory)
            {
                // Not through links, and those in it are removed themselves.
                EnumerationOptions all = new() { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None };
                count += directory.EnumerateFileSystemInfos("*", all).LongCount(static info => info is FileInfo || info.LinkTarget is not null);
                directory.Delete(recursive: true);
            }
            else
            {
                File.Delete(surplus.FullName);
                count++;
            }
        }

        return count;
    }

    private static void CheckCluster(string root, BackupHeader header, bool force)
    {
        // Whatever is forced, no directory of something else is emptied.
        if (!File.Exists(Path.Combine(root, "PG_VERSION")) || !Directory.Exists(Path.Combine(root, "base")) ||
            !Directory.Exists(Path.Combine(root, "global")))
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"'{root}' is not empty and no data directory of PostgreSQL, so nothing in it can be kept.",
                recommendation: "Name the data directory, or restore without delta.",
                target: root);
        }

        string actual;
        try
        {
            actual = ControlFile.Parse(File.ReadAllBytes(Path.Combine(root, ControlFile.RelativePath))).SystemId
                .ToString(CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is SmcException or FileNotFoundException)
        {
            if (force)
            {
                return;
            }

            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"Of which cluster the data directory '{root}' is cannot be told: {e.Message}",
                e,
                recommendation: "Make sure that it is the right one, and add -Force.",
                target: root);
        }

        if (actual != header.Database!.SystemId && !force)
        {
            throw new SmcException(
                SmcErrorCode.SystemIdMismatch,
                $"The data directory '{root}' is that of the cluster {actual}, and the backup '{header.Id}' is of {header.Database.SystemId}.",
                recommendation: "Name the right directory; -Force overwrites this one.",
                target: root);
        }
    }

    /// <summary>Whether there is nothing in a directory, or it does not exist.</summary>
    public static bool IsEmpty(string directory) =>
        !Directory.Exists(directory) ||
        Directory.EnumerateFileSystemEntries(directory).All(static path => Path.GetFileName(path) == LostAndFound);

    private void Scan(DirectoryInfo directory)
    {
        foreach (FileSystemInfo info in directory.EnumerateFileSystemInfos("*", new EnumerationOptions { AttributesToSkip = FileAttributes.None }))
        {
            string path = info.FullName;
            if (_directories.Contains(path))
            {
                RefuseLink(info);
                if (info is DirectoryInfo inner)
                {
                    Scan(inner);
                    continue;
                }
            }
            else if (info.LinkTarget is not null
                ? _links.Contains(path)
                : (info is FileInfo && _files.Contains(path)) || (info.Name == LostAndFound && directory.FullName == _layout.Root))
            {
                continue;
            }

            _surplus.Add(info);
        }
    }

    private static void RefuseLink(FileSystemInfo info)
    {
        if (info.LinkTarget is { } link)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"'{info.FullName}' is a link to '{link}', which would lead the restore out of its target.",
                recommendation: "Put a directory in its place, or restore without delta and link it again afterwards.",
                target: info.FullName);
        }
    }
}
