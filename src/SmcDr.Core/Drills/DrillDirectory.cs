using System.Runtime.Versioning;
using SmcDr.Core.Platform;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Drills;

/// <summary>The one directory that a drill works in.</summary>
internal static class DrillDirectory
{
    // Files, their copy while recovering, two base backups, WAL in the server and in the repository.
    private const int SizeFactor = 6;
    private const long WalRoom = 1_500_000_000;

    /// <summary>Refuses a directory that the server's account cannot reach.</summary>
    [UnsupportedOSPlatform("windows")]
    public static void RequireReachable(string path, OsAccount account)
    {
        for (DirectoryInfo? directory = new(path); directory is not null; directory = directory.Parent)
        {
            if (!directory.Exists)
            {
                continue;
            }

            (uint user, uint group) = Posix.GetOwner(directory.FullName);
            UnixFileMode needed =
                user == account.UserId ? UnixFileMode.UserExecute
                : group == account.GroupId ? UnixFileMode.GroupExecute
                : UnixFileMode.OtherExecute;
            if ((File.GetUnixFileMode(directory.FullName) & needed) == 0)
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable,
                    $"The account '{account.Name}', which PostgreSQL runs as, may not enter '{directory.FullName}'.",
                    recommendation: "Name another directory by --work-directory (or -WorkDirectory), such as /var/tmp.",
                    target: directory.FullName);
            }
        }
    }

    /// <summary>Refuses a file system with too little room.</summary>
    public static void RequireSpace(string path, long databaseBytes)
    {
        string existing = path;
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } above)
        {
            existing = above;
        }

        long needed = (databaseBytes * SizeFactor) + WalRoom;
        long free = new DriveInfo(existing).AvailableFreeSpace;
        if (free < needed)
        {
            throw new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                $"The drill needs {DisplayText.Size(needed)} below '{path}', and {DisplayText.Size(free)} are free.",
                recommendation: "Make room, name another directory by --work-directory (or -WorkDirectory), or choose a smaller --size.",
                target: path);
        }
    }

    /// <summary>Makes the directory: its own name, closed to others, the server's part owned by the server's account.</summary>
    public static string Create(string parent, OsAccount? account)
    {
        string root = Path.Combine(parent, "smcdr-drill-" + Guid.NewGuid().ToString("N")[..8]);
        string server = Path.Combine(root, "server");
        try
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(server);
                return root;
            }

            const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(root, Owner | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            Directory.CreateDirectory(server, Owner);
            if (Posix.IsRoot && account is not null)
            {
                Posix.SetOwner(server, account.UserId, account.GroupId);
            }

            return root;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"The drill cannot make its directory '{root}': {e.Message}",
                e,
                recommendation: "Name a directory that this account may write to by --work-directory (or -WorkDirectory).",
                target: parent);
        }
    }

    /// <summary>The bytes of all files below a directory.</summary>
    public static long SizeOf(string path) =>
        Directory.Exists(path) ? new DirectoryInfo(path).EnumerateFiles("*", SearchOption.AllDirectories).Sum(static file => file.Length) : 0;

    /// <summary>Removes the directory and says whether it is gone.</summary>
    public static bool TryDelete(string root)
    {
        try
        {
            Directory.Delete(root, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What is left is told by the one who asked.
        }

        return !Directory.Exists(root);
    }

    /// <summary>The processes that work below a directory, also where that is deleted.</summary>
    public static IReadOnlyList<int> ProcessesIn(string path) =>
    [
        .. ProcessTable.Ids().Where(id =>
            ProcessTable.WorkingDirectory(id) is { } work && work.StartsWith(path + Path.DirectorySeparatorChar, StringComparison.Ordinal)),
    ];
}
