using System.Globalization;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Recovery;

/// <summary>
/// The script that PostgreSQL asks for WAL during recovery. What it may answer is the whole point: 0 = it is there; 1 = it surely
/// is not in the archive, upon which PostgreSQL ends recovery and promotes; more than 125 = undecided, upon which PostgreSQL stops
/// (xlogarchive.c, RestoreArchivedFile). A failure answered with 1 would silently lose transactions.
/// </summary>
internal static class RecoveryScripts
{
    /// <summary>The script's name in the state folder; beside it lies the folder of staged files.</summary>
    public const string RestoreWalName = "restore-wal.sh";

    /// <summary>The folder of staged files.</summary>
    public const string StagingName = "wal";

    /// <summary>
    /// In the staging folder: lists all that is or will be staged, one name a line, before the first segment is fetched. What is not listed
    /// is surely absent.
    /// </summary>
    public const string ListName = ".list";

    /// <summary>In the staging folder: staging failed.</summary>
    public const string FailedName = ".failed";

    /// <summary>
    /// In the staging folder: the id of the process that is staging and a number, rewritten with another number every few seconds; gone once
    /// all is staged.
    /// </summary>
    public const string HeartbeatName = ".staging";

    // Only what POSIX has: no state of this process is needed once the staging is over. The server replays while segments still come, so
    // each has a state of its own: here; listed and on its way, for which it waits as long as somebody brings it; not listed, hence surely
    // absent; and undecided, when whoever should bring it has failed or died.
    public const string RestoreWal = """
        #!/bin/sh
        # Gives PostgreSQL a file of the write-ahead log from the folder 'wal' beside this script.
        # Usage: restore-wal.sh NAME DESTINATION
        # 0: it is there.  1: surely not in the archive.  126: could not be decided, PostgreSQL must stop and not promote.
        name=$1
        target=$2
        wal=${0%/*}/wal

        case $name in
            '' | .* | *[!0-9A-Za-z.]*) exit 126 ;;
        esac
        [ -n "$target" ] && [ -d "$wal" ] || exit 126

        serve() {
            [ -f "$wal/$name" ] || return 0
            # A second name costs nothing, where a copy was a fifth of what replay takes: PostgreSQL waits for it, and then for it to be on the disk.
            # It writes to no segment that it was given as long as it does not reuse them (wal_recycle = off, with which it replays).
            ln -- "$wal/$name" "$target" 2> /dev/null && exit 0
            # Another file system, or one without such names.
            cp -- "$wal/$name" "$target.smcdr" && mv -f -- "$target.smcdr" "$target" && exit 0
            rm -f -- "$target.smcdr"
            exit 126
        }

        listed=
        last=
        gone=
        still=0
        limit=$((${SMCDR_STALE_SECONDS:-30} * 10))
        while :; do
            serve
            [ ! -e "$wal/.failed" ] || exit 126
            if [ -z "$listed" ] && [ -e "$wal/.list" ]; then
                grep -qxF -e "$name" -- "$wal/.list"
                case $? in
                    0) listed=yes ;;
                    1) exit 1 ;;
                    *) exit 126 ;;
                esac
            fi
            # Somebody must be staging, and be alive. It may have come between the two looks.
            if ! { IFS= read -r beat < "$wal/.staging"; } 2> /dev/null; then
                serve
                exit 126
            fi
            # Where processes can be seen at all: one that was killed is known at once, unless another has taken its place.
            if [ -d /proc/1 ] && [ ! -d "/proc/${beat%% *}" ]; then
                if [ "$beat" = "$gone" ]; then
                    serve
                    exit 126
                fi
                gone=$beat
                continue
            fi
            if [ "$beat" = "$last" ]; then
                [ "$still" -lt "$limit" ] || exit 126
            else
                still=0
                last=$beat
            fi
            if sleep 0.1 2> /dev/null; then
                still=$((still + 1))
            else
                sleep 1
                still=$((still + 10))
            fi
        done

        """;

    /// <summary>The value of <c>restore_command</c> for a state folder.</summary>
    /// <param name="stateDirectory">The folder.</param>
    /// <param name="patience">How many seconds may be without a sign of life of who stages; null = as the script has it.</param>
    public static string RestoreCommand(string stateDirectory, int? patience = null) =>
        (patience is null ? "" : string.Create(CultureInfo.InvariantCulture, $"SMCDR_STALE_SECONDS={patience} ")) +
        $"/bin/sh {QuoteForCommand($"{stateDirectory}/{RestoreWalName}")} '%f' '%p'";

    /// <summary>A word of a <c>restore_command</c>: PostgreSQL replaces %f and %p, and takes %% for one percent sign; the rest goes to a shell.</summary>
    public static string QuoteForCommand(string word) => HostServer.QuoteForShell(word).Replace("%", "%%", StringComparison.Ordinal);

    /// <summary>Writes a file so that it is whole or absent, also after a power cut.</summary>
    public static void WriteDurably(string path, ReadOnlySpan<byte> content, UnixFileMode mode, OsAccount? owner = null)
    {
        string temporary = path + ".smcdr-tmp";
        File.Delete(temporary);
        FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (FileStream file = new(temporary, options))
        {
            if (!OperatingSystem.IsWindows())
            {
                if (owner is not null && Posix.IsRoot)
                {
                    Posix.SetOwner(temporary, owner.UserId, owner.GroupId);
                }

                // After the owner: chown clears bits, and the umask has no say in a chmod.
                File.SetUnixFileMode(file.SafeFileHandle, mode);
            }

            file.Write(content);
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
        Posix.SyncDirectory(Path.GetDirectoryName(path)!);
    }
}
