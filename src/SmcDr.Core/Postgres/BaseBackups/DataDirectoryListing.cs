using System.Data;
using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>The files and directories of a data directory that belong into a backup.</summary>
internal sealed class DataDirectoryListing
{
    /// <summary>A data directory is four directories deep. One that seems deeper than this has a link that leads back into it.</summary>
    private const int MaximumDepth = 24;

    private readonly List<string> _directories = [];
    private readonly List<SourceFile> _files = [];

    public IReadOnlyList<string> Directories => _directories;

    /// <summary>All files but the control file, which is read last, in ordinal order of their paths.</summary>
    public IReadOnlyList<SourceFile> Files => _files;

    public long TotalBytes { get; private set; }

    /// <summary>How many files and directories were left out.</summary>
    public int ExcludedCount { get; private set; }

    /// <summary>
    /// Lists a data directory, one query for each level. <c>pg_stat_file</c> follows links, so what is linked from outside is
    /// listed, and restored, as if it were inside.
    /// </summary>
    public static async Task<DataDirectoryListing> ReadAsync(
        NpgsqlConnection connection, ServerFacts facts, IReadOnlyList<TablespaceLocation> tablespaces, IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        DataDirectoryListing listing = new();
        List<string> level = ["."];
        for (int depth = 0; level.Count > 0; depth++)
        {
            if (depth == MaximumDepth)
            {
                throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    $"The data directory does not end: '{level[0]}' lies {MaximumDepth} directories deep.",
                    recommendation: "A symbolic link in the data directory leads back into it; remove the link.",
                    target: level[0]);
            }

            level = await listing.ReadLevelAsync(connection, level, facts, tablespaces, observer, cancellationToken).ConfigureAwait(false);
        }

        listing._files.Sort(static (left, right) => string.CompareOrdinal(left.Path, right.Path));
        return listing;
    }

    private async Task<List<string>> ReadLevelAsync(
        NpgsqlConnection connection, List<string> level, ServerFacts facts, IReadOnlyList<TablespaceLocation> tablespaces,
        IOperationObserver observer, CancellationToken cancellationToken)
    {
        List<(string Name, long Size, DateTime Modified, bool IsDirectory)>[] found = new List<(string, long, DateTime, bool)>[level.Count];
        NpgsqlCommand command = new(
            """
            SELECT d.number, n.name, s.size, s.modification, s.isdir
            FROM ROWS FROM (pg_catalog.unnest($1)) WITH ORDINALITY AS d (path, number)
            CROSS JOIN LATERAL pg_catalog.pg_ls_dir(d.path, true, false) AS n (name)
            CROSS JOIN LATERAL pg_catalog.pg_stat_file(d.path OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) n.name, true) AS s
            """,
            connection)
        {
            Parameters = { new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text, Value = level.ToArray() } },
        };
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    // Gone between the two calls, or a link that leads nowhere.
                    if (!reader.IsDBNull(2))
                    {
                        (found[(int)reader.GetInt64(0) - 1] ??= []).Add(
                            (reader.GetString(1), reader.GetInt64(2), reader.GetDateTime(3), reader.GetBoolean(4)));
                    }
                }
            }
        }

        List<string> next = [];
        for (int i = 0; i < level.Count; i++)
        {
            if (found[i] is { } entries)
            {
                Take(level[i], entries, next, facts, tablespaces, observer);
            }
        }

        return next;
    }

    private void Take(
        string directory, List<(string Name, long Size, DateTime Modified, bool IsDirectory)> entries, List<string> next,
        ServerFacts facts, IReadOnlyList<TablespaceLocation> tablespaces, IOperationObserver observer)
    {
        HashSet<string> unlogged = BackupFileRules.IsDatabaseDirectory(directory)
            ? BackupFileRules.UnloggedRelations(entries.Select(static entry => entry.Name))
            : [];
        foreach ((string name, long size, DateTime modified, bool isDirectory) in entries)
        {
            string path = directory == "." ? name : $"{directory}/{name}";
            if (path == ControlFile.RelativePath)
            {
                TotalBytes += size;
            }
            else if (BackupFileRules.IsExcluded(path) || IsUnlogged(name, unlogged) || IsForeign(directory, name, facts, tablespaces))
            {
                ExcludedCount++;
            }
            else if (name.AsSpan().ContainsAny('\\', '\0'))
            {
                observer.Warning($"The file '{path}' is left out of the backup: PostgreSQL makes no files with such names.");
                ExcludedCount++;
            }
            else if (!isDirectory)
            {
                _files.Add(new SourceFile(path, size, modified));
                TotalBytes += size;
            }
            else
            {
                _directories.Add(path);
                if (path == BackupFileRules.Wal)
                {
                    _directories.Add(path + "/archive_status");
                }

                if (!BackupFileRules.IsKeptEmpty(path) && !tablespaces.Any(t => t.PathInside == path))
                {
                    next.Add(path);
                }
            }
        }
    }

    private static bool IsUnlogged(string name, HashSet<string> unlogged) =>
        unlogged.Count > 0 &&
        BackupFileRules.TryParseRelation(name, out ReadOnlySpan<char> relation, out ReadOnlySpan<char> fork, out _) &&
        fork is not "init" &&
        unlogged.GetAlternateLookup<ReadOnlySpan<char>>().Contains(relation);

    /// <summary>
    /// In <c>pg_tblspc</c> only the tablespaces that were there when the backup began: a later one is created by the WAL, which
    /// fails where its place is taken. And of a tablespace only the directory of this version and cluster (pg_upgrade and other
    /// clusters may have theirs beside it).
    /// </summary>
    private static bool IsForeign(string directory, string name, ServerFacts facts, IReadOnlyList<TablespaceLocation> tablespaces) =>
        directory == BackupFileRules.Tablespaces
            ? !tablespaces.Any(t => t.Oid.ToString(System.Globalization.CultureInfo.InvariantCulture) == name)
            : directory.StartsWith(BackupFileRules.Tablespaces + "/", StringComparison.Ordinal) &&
                directory.IndexOf('/') == directory.LastIndexOf('/') && name != facts.TablespaceVersionDirectory;
}
