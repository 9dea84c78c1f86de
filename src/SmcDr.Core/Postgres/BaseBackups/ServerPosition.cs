using System.Globalization;
using Npgsql;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Where a server is in the history of its cluster.</summary>
/// <param name="Timeline">The timeline that it writes.</param>
/// <param name="Lsn">The end of its WAL.</param>
/// <param name="History">Where the timeline comes from; null where the server has no file of it any more.</param>
internal sealed record ServerPosition(uint Timeline, Lsn Lsn, TimelineHistory? History)
{
    public static async Task<ServerPosition> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // The control file names the timeline of the latest checkpoint, which after a promotion may still be the one before.
        Lsn lsn = Lsn.Parse(await ServerFacts.ScalarAsync<string>(
            connection, "SELECT pg_catalog.pg_current_wal_lsn()::pg_catalog.text", cancellationToken).ConfigureAwait(false));
        string segment = await ServerFacts.ScalarAsync<string>(
            connection, "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())", cancellationToken).ConfigureAwait(false);
        uint timeline = uint.Parse(segment.AsSpan(0, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        if (timeline == 1)
        {
            return new ServerPosition(timeline, lsn, TimelineHistory.Root(timeline));
        }

        NpgsqlCommand command = new("SELECT pg_catalog.pg_read_binary_file($1, 0, 1048576, true)", connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = $"{BackupFileRules.Wal}/{TimelineHistory.FileName(timeline)}" } },
        };
        await using (command.ConfigureAwait(false))
        {
            byte[]? content = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as byte[];
            return new ServerPosition(timeline, lsn, content is null ? null : TimelineHistory.Parse(timeline, content));
        }
    }

    /// <summary>Whether the server has passed a position of a timeline: on that timeline itself, or before the timeline was left.</summary>
    public bool Includes(uint timeline, Lsn lsn) =>
        timeline == Timeline
            ? lsn <= Lsn
            : History?.Branches.FirstOrDefault(branch => branch.Timeline == timeline) is { } left && lsn <= left.SwitchLsn;
}
