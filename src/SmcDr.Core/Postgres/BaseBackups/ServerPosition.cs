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
    /// <summary>Where a primary is; of a standby, up to where it is sure to have replayed.</summary>
    public static async Task<ServerPosition> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        (uint timeline, Lsn lsn) = await ServerFacts
            .ScalarAsync<bool>(connection, "SELECT pg_catalog.pg_is_in_recovery()", cancellationToken).ConfigureAwait(false)
            ? await ReadStandbyAsync(connection, cancellationToken).ConfigureAwait(false)
            : await ReadPrimaryAsync(connection, cancellationToken).ConfigureAwait(false);
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

    private static async Task<(uint Timeline, Lsn Lsn)> ReadPrimaryAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // The control file names the timeline of the latest checkpoint, which after a promotion may still be the one before.
        Lsn lsn = Lsn.Parse(await ServerFacts.ScalarAsync<string>(
            connection, "SELECT pg_catalog.pg_current_wal_lsn()::pg_catalog.text", cancellationToken).ConfigureAwait(false));
        string segment = await ServerFacts.ScalarAsync<string>(
            connection, "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())", cancellationToken).ConfigureAwait(false);
        uint timeline = uint.Parse(segment.AsSpan(0, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        return (timeline, lsn);
    }

    /// <summary>
    /// Position and timeline from the control file, where they belong together: pg_last_wal_replay_lsn tells no timeline, and pg_walfile_name does not
    /// work during recovery. They may lie a little behind, which only makes fewer backups fit.
    /// </summary>
    private static async Task<(uint Timeline, Lsn Lsn)> ReadStandbyAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(
            "SELECT min_recovery_end_timeline, min_recovery_end_lsn::pg_catalog.text FROM pg_catalog.pg_control_recovery()", connection);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return ((uint)reader.GetInt32(0), Lsn.Parse(reader.GetString(1)));
            }
        }
    }

    /// <summary>Whether the server has passed a position of a timeline: on that timeline itself, or before the timeline was left.</summary>
    public bool Includes(uint timeline, Lsn lsn) =>
        timeline == Timeline
            ? lsn <= Lsn
            : History?.Branches.FirstOrDefault(branch => branch.Timeline == timeline) is { } left && lsn <= left.SwitchLsn;
}
