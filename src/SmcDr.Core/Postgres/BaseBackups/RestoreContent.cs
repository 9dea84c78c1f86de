using System.Globalization;
using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What a base backup puts where: its directories, its files, and those that are changed on their way.</summary>
internal sealed class RestoreContent
{
    private readonly Manifest _manifest;
    private readonly RestoreLayout _layout;
    private readonly DatabaseBackupDetails _details;
    private readonly List<(string Path, int Mode)> _directories = [];
    private readonly List<RestoreFile> _files = [];
    private readonly Dictionary<string, byte[]> _special = new(StringComparer.Ordinal);

    /// <exception cref="SmcException"><see cref="SmcErrorCode.ManifestInvalid"/>, <see cref="SmcErrorCode.BackupUnsuitable"/>.</exception>
    public RestoreContent(Manifest manifest, RestoreLayout layout)
    {
        _manifest = manifest;
        _layout = layout;
        _details = DetailsOf(manifest);
        Arrange();
        // Parents sort before what is in them.
        _directories.Sort(static (left, right) => string.CompareOrdinal(left.Path, right.Path));
    }

    /// <summary>The directories, parents first, without the data directory itself.</summary>
    public IReadOnlyList<(string Path, int Mode)> Directories => _directories;

    public IReadOnlyList<RestoreFile> Files => _files;

    /// <summary>
    /// The control file and the tablespace map, by their paths in the backup; empty before <see cref="ReadSpecialFilesAsync"/>. The one is made to start
    /// with <c>backup_label</c> or not at all, the other leads to where tablespaces are restored to.
    /// </summary>
    public IReadOnlyDictionary<string, byte[]> Special => _special;

    /// <summary>The mode of a file of which the backup says nothing.</summary>
    public static int FileMode(DatabaseBackupDetails details) => details.DirectoryMode & 0x1B6;

    public static DatabaseBackupDetails DetailsOf(Manifest manifest) => manifest.Header.Database ?? throw new SmcException(
        SmcErrorCode.BackupUnsuitable, $"The backup '{manifest.Header.Id}' is no base backup of a database.", target: manifest.Header.Id);

    public static SmcException Damaged(BackupHeader backup, ManifestEntry entry) => new(
        SmcErrorCode.ChecksumMismatch,
        $"The file '{entry.Path}' of the backup '{backup.Id}' does not match its digest in the manifest.",
        target: entry.Path);

    /// <summary>Reads the files that are changed on their way, and looks at the control file.</summary>
    public async Task ReadSpecialFilesAsync(BackupReader reader, int parallelism, CancellationToken cancellationToken)
    {
        List<ManifestEntry> entries = [.. _manifest.Entries.Where(e => _special.ContainsKey(e.Path))];
        List<(ManifestEntry Entry, int Offset, FileExtent Extent)> parts = [];
        foreach (ManifestEntry entry in entries)
        {
            int offset = 0;
            foreach (FileExtent extent in entry.Extents)
            {
                if (extent.Block is not null)
                {
                    parts.Add((entry, offset, extent));
                }

                offset += extent.Length;
            }
        }

        await reader.ReadBlocksAsync(
            [.. parts.Select(static part => part.Extent.Block!)],
            parallelism,
            (index, content, _) =>
            {
                (ManifestEntry entry, int offset, FileExtent extent) = parts[index];
                content.Slice(extent.Start, extent.Length).CopyTo(_special[entry.Path].AsMemory(offset));
                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);
        foreach (ManifestEntry entry in entries)
        {
            if (entry.Hash is { } hash && Hash256.Compute(_special[entry.Path]) != hash)
            {
                throw Damaged(_manifest.Header, entry);
            }
        }

        ControlFile control = ControlFile.Parse(_special[ControlFile.RelativePath]);
        if (control.SystemId.ToString(CultureInfo.InvariantCulture) != _details.SystemId)
        {
            throw new SmcException(
                SmcErrorCode.SystemIdMismatch,
                $"The control file in the backup '{_manifest.Header.Id}' is that of cluster {control.SystemId}, the backup's is {_details.SystemId}.",
                target: _manifest.Header.Id);
        }

        ControlFile.InvalidateCheckpoint(_special[ControlFile.RelativePath]);
        if (_special.TryGetValue(BackupFileRules.TablespaceMap, out byte[]? map) && _layout.Moved.Count > 0)
        {
            _special[BackupFileRules.TablespaceMap] =
                Encoding.UTF8.GetBytes(TablespaceMapFile.Rewrite(Encoding.UTF8.GetString(map), _layout.Moved));
        }
    }

    private void Arrange()
    {
        HashSet<string> parents = new(StringComparer.Ordinal);
        foreach (ManifestEntry entry in _manifest.Entries)
        {
            string? path = _layout.PathOf(entry);
            switch (entry.Kind)
            {
                case ManifestEntryKind.Directory:
                    if (path is not null && parents.Add(path))
                    {
                        _directories.Add((path, entry.Mode == 0 ? _details.DirectoryMode : entry.Mode));
                    }

                    break;
                case ManifestEntryKind.File when path is not null:
                    if (parents.Add(Path.GetDirectoryName(path)!) && Path.GetDirectoryName(path) != _layout.Root)
                    {
                        _directories.Add((Path.GetDirectoryName(path)!, _details.DirectoryMode));
                    }

                    if (entry.Path is ControlFile.RelativePath or BackupFileRules.TablespaceMap)
                    {
                        _special.Add(entry.Path, new byte[checked((int)entry.Size)]);
                    }
                    else
                    {
                        _files.Add(new RestoreFile(entry, path));
                    }

                    break;
                default:
                    // A link could lead the files below it out of the target, and no base backup holds one.
                    throw new SmcException(
                        SmcErrorCode.ManifestInvalid,
                        $"The backup '{_manifest.Header.Id}' holds '{entry.Path}', which does not belong into a base backup.",
                        target: entry.Path);
            }
        }

        if (!_special.ContainsKey(ControlFile.RelativePath) || !_files.Any(static f => f.Entry.Path == BackupFileRules.BackupLabel))
        {
            throw new SmcException(
                SmcErrorCode.ManifestInvalid,
                $"The backup '{_manifest.Header.Id}' lacks its control file or its backup label.",
                target: _manifest.Header.Id);
        }
    }
}
