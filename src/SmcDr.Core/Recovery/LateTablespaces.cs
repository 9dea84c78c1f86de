using System.Globalization;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

/// <summary>
/// Tablespaces that a cluster on this host has and the base backup does not. Replaying the creation of one uses the directory that it had on
/// the server (tablespace.c, tblspc_redo), and nothing can send it elsewhere: what another cluster has there would be written over.
/// </summary>
internal static class LateTablespaces
{
    // catalog.h, TABLESPACE_VERSION_DIRECTORY: what a tablespace has its files in.
    private const string VersionDirectories = "PG_*";

    /// <summary>The tablespaces of a data directory that are not in the backup and whose directory is not that of one that is.</summary>
    public static List<(uint Oid, string Location)> Find(
        string dataDirectory, DatabaseBackupDetails details, IReadOnlyList<RecoveryTablespace> placed)
    {
        List<(uint, string)> result = [];
        string links = Path.Combine(dataDirectory, "pg_tblspc");
        try
        {
            foreach (string link in Directory.Exists(links) ? Directory.GetFileSystemEntries(links) : [])
            {
                if (uint.TryParse(Path.GetFileName(link), NumberStyles.None, CultureInfo.InvariantCulture, out uint oid) &&
                    details.Tablespaces.All(t => t.Oid != oid) &&
                    new FileInfo(link).LinkTarget is { } location &&
                    placed.All(t => t.Location != location))
                {
                    result.Add((oid, location));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Of another account: neither can it be recovered in its place.
        }

        return result;
    }

    /// <summary>Whether a tablespace's directory holds files of one.</summary>
    public static bool IsUsed(string location) =>
        Directory.Exists(location) && Directory.EnumerateDirectories(location, VersionDirectories).Any();

    /// <summary>Whether what holds a tablespace's files was there before some moment, as far as the file system knows.</summary>
    public static bool IsOlderThan(string location, DateTimeOffset time) =>
        Directory.Exists(location) &&
        new DirectoryInfo(location).EnumerateDirectories(VersionDirectories).Any(directory => directory.CreationTimeUtc < time.UtcDateTime);

    /// <summary>
    /// A place for what such a directory holds: within it, because it may be a mount point, and what it lies in need not be the account's.
    /// </summary>
    public static string PlaceFor(string location) => RecoveryRun.FreeName(Path.Combine(location, "smcdr"), Path.Exists);

    /// <summary>Moves what a tablespace's directory holds to a place within it, and is finished by being called again.</summary>
    public static void MoveAside(string location, string destination, HostServer server)
    {
        server.CreateOwnedDirectory(destination);
        foreach (string directory in Directory.GetDirectories(location, VersionDirectories))
        {
            Directory.Move(directory, Path.Combine(destination, Path.GetFileName(directory)));
        }

        Posix.SyncDirectory(destination);
        Posix.SyncDirectory(location);
    }

    /// <summary>The system identifier of the cluster in a data directory; null where none can be read.</summary>
    public static string? SystemIdOf(string dataDirectory)
    {
        try
        {
            return ControlFile.Parse(File.ReadAllBytes(Path.Combine(dataDirectory, ControlFile.RelativePath))).SystemId
                .ToString(CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SmcException)
        {
            return null;
        }
    }
}
