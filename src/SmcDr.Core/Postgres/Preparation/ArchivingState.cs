using System.Globalization;

namespace SmcDr.Core.Postgres.Preparation;

/// <summary>
/// How a server archives by itself, beside the stream, which needs none of it: what it cannot archive it keeps, until its disk is full and the
/// database stops.
/// </summary>
/// <param name="Major">The server's major version.</param>
/// <param name="Mode">Its archive_mode.</param>
/// <param name="Command">Its archive_command.</param>
/// <param name="Library">Its archive_library.</param>
/// <param name="FailedSegment">The segment that it has failed to archive and has not archived since.</param>
/// <param name="FailedTime">When it last tried.</param>
internal sealed record ArchivingState(int Major, string Mode, string Command, string Library, string? FailedSegment, DateTimeOffset? FailedTime)
{
    /// <summary>Gives one row with what the record has but the version. One who may not see a setting sees it empty.</summary>
    public const string Query =
        """
        SELECT pg_catalog.current_setting('archive_mode'),
            coalesce((SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = 'archive_command'), ''),
            coalesce((SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = 'archive_library'), ''),
            a.last_failed_wal, a.last_failed_time
        FROM (VALUES (1)) AS one LEFT JOIN pg_catalog.pg_stat_archiver a ON a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
        """;

    // pgarch.c of 16, LoadArchiveLibrary: until then the library went before the command.
    private const int FirstThatRefusesBoth = 16;

    /// <summary>What is wrong, and what to do about it; null where nothing is.</summary>
    public (string Problem, string Advice)? Find()
    {
        if (Mode == "off")
        {
            return null;
        }

        // archive_mode goes by a restart alone, and the other two by a reload.
        const string Off = "or archive_mode = off and restart the server: the WAL stream does without.";
        // "(disabled)" is what the server shows of a command while it does not archive.
        bool hasCommand = Command.Length > 0 && Command != "(disabled)";
        if (hasCommand && Library.Length > 0)
        {
            return Major >= FirstThatRefusesBoth
                ? ("archive_command and archive_library are both set, so that the server archives nothing and keeps all WAL until its disk is full.",
                    $"ALTER SYSTEM RESET archive_command (or archive_library); SELECT pg_reload_conf(); {Off}")
                : ("archive_command and archive_library are both set: only the library is used, and from PostgreSQL 16 on nothing is archived at all.",
                    $"ALTER SYSTEM RESET archive_command (or archive_library); SELECT pg_reload_conf(); {Off}");
        }

        if (!hasCommand && Library.Length == 0)
        {
            return (
                $"archive_mode is {Mode}, and neither archive_command nor archive_library is set: the server keeps all WAL until its disk is full.",
                $"Set one of them and reload the server, {Off}");
        }

        return FailedSegment is null ? null : (
            $"The server has failed to archive '{FailedSegment}'{At(FailedTime)}, and keeps all WAL from there on until its disk is full.",
            $"See the server's log for what its {(hasCommand ? "archive_command" : "archive_library")} says, and mend it, {Off}");
    }

    private static string At(DateTimeOffset? time) =>
        time is { } at ? string.Create(CultureInfo.InvariantCulture, $", last at {at.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z") : "";
}
