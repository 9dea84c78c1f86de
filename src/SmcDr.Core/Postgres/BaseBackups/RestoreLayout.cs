using System.Globalization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Where each entry of a backup goes on this machine.</summary>
internal sealed class RestoreLayout
{
    private const string Prefix = BackupFileRules.Tablespaces + "/";

    private readonly Dictionary<string, string> _locations;

    private RestoreLayout(string root, Dictionary<string, string> locations, Dictionary<uint, string> moved)
    {
        Root = root;
        _locations = locations;
        Moved = moved;
    }

    /// <summary>The data directory, absolute.</summary>
    public string Root { get; }

    /// <summary>The directories of the tablespaces, absolute.</summary>
    public IReadOnlyCollection<string> TablespaceDirectories => _locations.Values;

    /// <summary>The tablespaces that go elsewhere than where they were.</summary>
    public IReadOnlyDictionary<uint, string> Moved { get; }

    /// <summary>Links to make in <c>pg_tblspc</c>: name and location.</summary>
    public IEnumerable<KeyValuePair<string, string>> Links => _locations;

    /// <summary>Works out the places and refuses those that cannot be right.</summary>
    public static RestoreLayout Create(Manifest manifest, DatabaseBackupDetails details, BaseRestoreTarget target)
    {
        string root = Absolute(target.DataDirectory, "data directory");
        Dictionary<string, string> locations = new(StringComparer.Ordinal);
        List<string> places = [Resolve(root)];
        Dictionary<uint, string> moved = [];
        foreach (uint unknown in target.Tablespaces.Keys.Except(details.Tablespaces.Select(static t => t.Oid)))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The backup '{manifest.Header.Id}' has no tablespace {unknown}.",
                recommendation: details.Tablespaces.Count == 0
                    ? "It has none at all; leave the tablespace map out."
                    : $"It has {string.Join(", ", details.Tablespaces.Select(static t => $"{t.Oid} ('{t.Name}', {t.Location})"))}.");
        }

        foreach (TablespaceDetails tablespace in details.Tablespaces)
        {
            string location = Absolute(
                target.Tablespaces.GetValueOrDefault(tablespace.Oid, tablespace.Location), $"location of tablespace '{tablespace.Name}'");
            string place = Resolve(location);
            string? clash = places.FirstOrDefault(other => IsWithin(other, place) || IsWithin(place, other));
            if (clash is not null)
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable,
                    $"The tablespace '{tablespace.Name}' would be restored to '{location}', which is, holds or lies in '{clash}', where something else is restored to.",
                    recommendation: "Give every tablespace a directory of its own, outside of the data directory.",
                    target: location);
            }

            places.Add(place);
            locations.Add(tablespace.Oid.ToString(CultureInfo.InvariantCulture), location);
            if (location != tablespace.Location)
            {
                moved.Add(tablespace.Oid, location);
            }
        }

        return new RestoreLayout(root, locations, moved);
    }

    /// <summary>The places below a data directory that is not on this machine: the paths of the entries. Tablespaces elsewhere it has none.</summary>
    public static RestoreLayout Relative() => new("", [], []);

    /// <summary>The place of an entry. Null for a tablespace's entry in <c>pg_tblspc</c>, which will be a link.</summary>
    public string? PathOf(ManifestEntry entry)
    {
        // Whoever made the manifest, nothing is written outside of the target.
        entry.ValidatePath();
        if (entry.Path.StartsWith(Prefix, StringComparison.Ordinal))
        {
            string rest = entry.Path[Prefix.Length..];
            int slash = rest.IndexOf('/', StringComparison.Ordinal);
            if (_locations.TryGetValue(slash < 0 ? rest : rest[..slash], out string? location))
            {
                return slash < 0 ? null : Path.Combine(location, rest[(slash + 1)..]);
            }
        }

        return Path.Combine(Root, entry.Path);
    }

    private static string Absolute(string path, string what)
    {
        // A line end or a backslash would have to be written differently in tablespace_map by different versions of PostgreSQL.
        if (string.IsNullOrWhiteSpace(path) || path.AsSpan().ContainsAny('\n', '\r', '\0') || (!OperatingSystem.IsWindows() && path.Contains('\\')))
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, $"The {what}, '{path}', is not a usable path.");
        }

        return Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
    }

    /// <summary>The path with all links followed, since two paths to one directory are one directory.</summary>
    private static string Resolve(string path)
    {
        string result = Path.GetPathRoot(path)!;
        foreach (string part in path[result.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            result = Path.Combine(result, part);
            try
            {
                DirectoryInfo directory = new(result);
                if (directory.LinkTarget is not null)
                {
                    result = Resolve(directory.ResolveLinkTarget(returnFinalTarget: true)!.FullName);
                }
            }
            catch (IOException e)
            {
                throw new SmcException(SmcErrorCode.TargetUnsuitable, $"The path '{path}' cannot be used: {e.Message}", e, target: path);
            }
        }

        return result;
    }

    private static bool IsWithin(string directory, string path) =>
        path == directory || path.StartsWith(directory.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal);
}
