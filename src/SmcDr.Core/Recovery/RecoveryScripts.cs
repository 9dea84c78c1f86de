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

    /// <summary>In the staging folder: lists all that is staged, one name a line, and says that no more will come.</summary>
    public const string CompleteName = ".complete";

    /// <summary>In the staging folder: staging failed.</summary>
    public const string FailedName = ".failed";

    /// <summary>In the staging folder: rewritten with other content every few seconds while somebody is staging.</summary>
    public const string HeartbeatName = ".staging";

    // Only what a POSIX shell and coreutils have: no state of this process is needed once the staging is complete.
    public const string RestoreWal = """
        #!/bin/sh
        # Gives PostgreSQL a file of the write-ahead log from the folder 'wal' beside this script.
        # Usage: restore-wal.sh NAME DESTINATION
        # 0: copied.  1: surely not in the archive.  126: could not be decided, PostgreSQL must stop and not promote.
        name=$1
        target=$2
        wal=${0%/*}/wal

        case $name in
            '' | .* | *[!0-9A-Za-z.]*) exit 126 ;;
        esac
        [ -n "$target" ] && [ -d "$wal" ] || exit 126

        serve() {
            [ -f "$wal/$name" ] || return 0
            cp -- "$wal/$name" "$target.smcdr" && mv -f -- "$target.smcdr" "$target" && exit 0
            rm -f -- "$target.smcdr"
            exit 126
        }

        last=
        still=0
        while :; do
            serve
            [ ! -e "$wal/.failed" ] || exit 126
            if [ -e "$wal/.complete" ]; then
                # It may have come between the two looks. What is listed and not there was removed by somebody.
                serve
                while IFS= read -r line; do
                    [ "$line" != "$name" ] || exit 126
                done < "$wal/.complete" || exit 126
                exit 1
            fi
            # Somebody must be staging, and be alive.
            [ -e "$wal/.staging" ] || exit 126
            IFS= read -r beat < "$wal/.staging" || beat=
            if [ "$beat" = "$last" ]; then
                still=$((still + 1))
                [ "$still" -lt "${SMCDR_STALE_SECONDS:-30}" ] || exit 126
            else
                still=0
                last=$beat
            fi
            sleep 1
        done

        """;

    /// <summary>The value of <c>restore_command</c> for a state folder.</summary>
    public static string RestoreCommand(string stateDirectory) =>
        // PostgreSQL replaces %f and %p, and takes %% for one percent sign; the rest goes to a shell.
        $"/bin/sh {HostServer.QuoteForShell(Path.Combine(stateDirectory, RestoreWalName)).Replace("%", "%%", StringComparison.Ordinal)} '%f' '%p'";

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
