using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Which files of a data directory belong into a base backup, by the rules of PostgreSQL's own (backup/basebackup.c, which its
/// documentation repeats under "Backing Up the Data Directory").
/// </summary>
internal static partial class BackupFileRules
{
    /// <summary>The directory of the WAL. Its content comes from the archive.</summary>
    public const string Wal = "pg_wal";

    /// <summary>The directory with one entry for each tablespace.</summary>
    public const string Tablespaces = "pg_tblspc";

    public const string BackupLabel = "backup_label";

    public const string TablespaceMap = "tablespace_map";

    /// <summary>
    /// Directories that the server empties or fills anew when it starts. The directories themselves must be there, or it does not
    /// start. Of <c>pg_replslot</c> the reason is another: slots of the copied server would hold back WAL for receivers that
    /// never come.
    /// </summary>
    private static readonly HashSet<string> s_emptyDirectories = new(StringComparer.Ordinal)
    {
        Wal, "pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans",
    };

    private static readonly HashSet<string> s_excludedFiles = new(StringComparer.Ordinal)
    {
        "postmaster.pid", "postmaster.opts", "postgresql.auto.conf.tmp", "current_logfiles.tmp",
        BackupLabel, "backup_label.old", TablespaceMap, "tablespace_map.old", "backup_manifest", "backup_manifest.tmp",
        "recovery.signal", "standby.signal",
    };

    /// <summary>
    /// What the names in a data directory begin with that is the root of a volume and in which a recovery has worked: its state, and what was there before.
    /// </summary>
    public const string RecoveryPrefix = "smcdr.";

    /// <summary>Whether a directory is kept and its content is not.</summary>
    public static bool IsKeptEmpty(string path) => s_emptyDirectories.Contains(path);

    /// <summary>Whether a file or directory is left out, whatever else lies beside it.</summary>
    public static bool IsExcluded(string path)
    {
        int slash = path.LastIndexOf('/');
        ReadOnlySpan<char> name = path.AsSpan(slash + 1);
        // Temporary files, and the cache of system catalogs with its temporary files, which the server makes anew.
        if (name.StartsWith("pgsql_tmp", StringComparison.Ordinal) || name.StartsWith("pg_internal.init", StringComparison.Ordinal))
        {
            return true;
        }

        return slash < 0
            ? s_excludedFiles.Contains(path) || path.StartsWith(RecoveryPrefix, StringComparison.Ordinal)
            : IsDatabaseDirectory(path[..slash]) && TemporaryRelation().IsMatch(name);
    }

    /// <summary>
    /// Whether a directory holds relations of one database: <c>base/5</c>, <c>pg_tblspc/16385/PG_15_202209061/5</c>.
    /// </summary>
    public static bool IsDatabaseDirectory(string path) => DatabaseDirectory().IsMatch(path);

    /// <summary>Takes a relation's file name apart: <c>16384_fsm.2</c> is relation 16384, fork fsm, segment 2.</summary>
    public static bool TryParseRelation(string name, out ReadOnlySpan<char> relation, out ReadOnlySpan<char> fork, out uint segment)
    {
        Match match = RelationName().Match(name);
        relation = match.Groups[1].ValueSpan;
        fork = match.Groups[2].ValueSpan;
        segment = 0;
        return match.Success &&
            (!match.Groups[3].Success ||
                uint.TryParse(match.Groups[3].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out segment));
    }

    /// <summary>Whether a file consists of pages with checksums, and which segment of its relation it is.</summary>
    public static bool IsPaged(string path, out uint segment)
    {
        segment = 0;
        int slash = path.LastIndexOf('/');
        return slash > 0 && (path[..slash] == "global" || IsDatabaseDirectory(path[..slash])) &&
            TryParseRelation(path[(slash + 1)..], out _, out _, out segment);
    }

    /// <summary>
    /// Whether a file is a relation's main fork, all changes of whose pages, but hints, are in the WAL, and which segment of the relation it is.
    /// </summary>
    public static bool IsMainFork(string path, out uint segment) =>
        IsPaged(path, out segment) && !path.AsSpan(path.LastIndexOf('/')).Contains('_');

    /// <summary>
    /// Of the names in a database's directory, those of relations that are unlogged: they have an init fork, from which the server
    /// makes them anew, empty, after recovery. Their other forks were never in the WAL and would be torn.
    /// </summary>
    public static HashSet<string> UnloggedRelations(IEnumerable<string> names)
    {
        HashSet<string> result = new(StringComparer.Ordinal);
        foreach (string name in names)
        {
            if (TryParseRelation(name, out ReadOnlySpan<char> relation, out ReadOnlySpan<char> fork, out _) && fork is "init")
            {
                result.Add(relation.ToString());
            }
        }

        return result;
    }

    [GeneratedRegex(@"\A(?:base|pg_tblspc/[0-9]+/PG_[^/]+)/[0-9]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex DatabaseDirectory();

    [GeneratedRegex(@"\A([0-9]+)(?:_(fsm|vm|init))?(?:\.([0-9]+))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex RelationName();

    [GeneratedRegex(@"\At[0-9]+_[0-9]+(?:_(?:fsm|vm|init))?(?:\.[0-9]+)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex TemporaryRelation();
}
