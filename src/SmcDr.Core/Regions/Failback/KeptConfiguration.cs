using SmcDr.Core.Platform;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failback;

/// <summary>
/// A server's own settings, kept while its data directory is rewound. pg_rewind copies every file that is no table from the other server, its configuration,
/// its certificates and its port among them (pg_rewind's documentation, "How It Works").
/// </summary>
internal static class KeptConfiguration
{
    private const string Folder = "config";

    // What an administrator puts there is small; what is large is a log or a dump.
    private const long MostBytes = 1 << 20;

    // Of the server's state, not of its settings.
    private static readonly string[] s_state =
    [
        "PG_VERSION", "postmaster.pid", "postmaster.opts", "backup_label", "backup_label.old", "backup_manifest", "tablespace_map", "tablespace_map.old",
        "current_logfiles", RecoveryConfiguration.SignalName, RecoveryConfiguration.StandbySignalName,
    ];

    /// <summary>Keeps them.</summary>
    public static void Keep(HostServer server, string directory)
    {
        string folder = Path.Combine(directory, Folder);
        server.CreateOwnedDirectory(folder);
        foreach (FileInfo file in Find(server.DataDirectory))
        {
            string copy = Path.Combine(folder, Path.GetRelativePath(server.DataDirectory, file.FullName));
            server.CreateOwnedDirectory(Path.GetDirectoryName(copy)!);
            RecoveryScripts.WriteDurably(copy, File.ReadAllBytes(file.FullName), ModeOf(file.FullName), server.Account);
        }

        Posix.SyncDirectory(folder);
    }

    /// <summary>Puts them back.</summary>
    public static void Restore(HostServer server, string directory)
    {
        string folder = Path.Combine(directory, Folder);
        foreach (string file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            string path = Path.Combine(server.DataDirectory, Path.GetRelativePath(folder, file));
            server.CreateOwnedDirectory(Path.GetDirectoryName(path)!);
            RecoveryScripts.WriteDurably(path, File.ReadAllBytes(file), ModeOf(file), server.Account);
        }
    }

    private static IEnumerable<FileInfo> Find(string dataDirectory)
    {
        DirectoryInfo root = new(dataDirectory);
        DirectoryInfo included = new(Path.Combine(dataDirectory, "conf.d"));
        return root.EnumerateFiles()
            .Concat(included.Exists ? included.EnumerateFiles() : [])
            // Links stay as they are: pg_rewind leaves files that are links to files alone, or fails.
            .Where(static file => file.LinkTarget is null && file.Length <= MostBytes && !s_state.Contains(file.Name) &&
                !file.Name.EndsWith(".log", StringComparison.Ordinal) && !file.Name.EndsWith(".tmp", StringComparison.Ordinal));
    }

    private static UnixFileMode ModeOf(string path) =>
        OperatingSystem.IsWindows() ? UnixFileMode.UserRead | UnixFileMode.UserWrite : File.GetUnixFileMode(path);
}
