using System.Globalization;
using Npgsql;
using Npgsql.Replication;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>Decides for a standby's <c>restore_command</c> whether a segment of WAL is better streamed from the primary than fetched from the repository.</summary>
/// <remarks>
/// PostgreSQL asks its <c>restore_command</c> first and streams only what that does not bring (xlogrecovery.c, WaitForWALToBecomeAvailable). Each
/// segment costs the start of a program; where the primary writes faster than that brings segments, the standby would stay on it for ever, further and
/// further behind. So what the primary still keeps for the standby's slot is refused, upon which PostgreSQL begins to stream at that very segment, and goes
/// on streaming. Whether the primary can be streamed from is tried, by a connection for replication as the standby's own: a
/// <c>pg_hba.conf</c> that keeps the standby out keeps this out as well. Where the standby asks for the same segment again and again, its stream has failed for a
/// reason that is not seen here, and it gets the segment, and those of the next minute.
/// </remarks>
public static class StandbyFetch
{
    // As a server in recovery calls the file into which it wants a segment (xlogarchive.c); whoever else asks, such as pg_rewind, does not stream.
    private const string RecoveryFile = "RECOVERYXLOG";

    // A primary that has gone is mostly seen by its address: each look at one takes so long, while the standby waits. One whose address answers gets longer,
    // for a busy one that is taken for a dead one is not streamed from for a minute, in which a standby that is behind falls further behind.
    private static readonly TimeSpan s_reach = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(15);

    // How long nobody looks again: where no stream came; where the primary does not answer, which costs the more time the less it is there; and where it is
    // there and lacks the segment, as at the beginning of a long way through the repository.
    private static readonly TimeSpan s_afterFailure = StreamNotes.LongestQuiet;
    private static readonly TimeSpan s_afterSilence = StreamNotes.LongestQuiet;
    private static readonly TimeSpan s_afterLack = TimeSpan.FromSeconds(10);

    /// <summary>Whether a file that a standby asks for is left to its stream. Where in doubt it is not.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the password for the primary, where the standby has no file with it.</param>
    /// <param name="region">The region of the primary that it follows.</param>
    /// <param name="slot">The slot by which it streams.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="name">The file as PostgreSQL asks for it (<c>%f</c>).</param>
    /// <param name="destination">Where to (<c>%p</c>), as a full path.</param>
    /// <param name="tell">Is told why the primary is not streamed from for a while: a line for the standby's log, once for that while.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<bool> IsStreamedAsync(
        Site site,
        SecretResolver secrets,
        string region,
        string slot,
        ulong systemId,
        string name,
        string destination,
        Action<string> tell,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        ArgumentNullException.ThrowIfNull(tell);
        if (!WalSegmentName.TryParse(name, out WalSegmentName segment) || Path.GetFileName(destination) != RecoveryFile ||
            Path.GetDirectoryName(destination) is not { } walDirectory || Path.GetDirectoryName(walDirectory) is not { } dataDirectory)
        {
            return false;
        }

        StandbyOwnWal.Trim(walDirectory);
        StreamNotes notes = StreamNotes.Read(walDirectory);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        if (notes.IsQuiet(now))
        {
            return false;
        }

        // From PostgreSQL 15 on a standby reads ahead (recovery_prefetch), but tries no stream for that: what it does not get it asks for again when it has
        // replayed the rest, and only then streams (xlogrecovery.c, ReadRecord and WaitForWALToBecomeAvailable; xlogprefetcher.c, no_readahead_until). So the
        // second time says nothing of the stream.
        // After a restart a standby begins at its last restartpoint, with WAL that it has received before and the primary need not keep any more. What it has of
        // that it reads itself; the segment with the checkpoint record once more, since it begins before that (InitWalRecovery).
        bool isReceived = File.Exists(Path.Combine(walDirectory, name));
        if (notes.WasLeft(name, now, isReceived ? 3 : 2))
        {
            tell($"{name} was left to the stream, and is asked for again: the log says why the stream failed. {UntilText(s_afterFailure)}");
            notes.KeepQuiet(now, s_afterFailure);
            return false;
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_limit);
        bool has;
        try
        {
            int size = (await ControlFile.ReadAsync(dataDirectory, limit.Token).ConfigureAwait(false)).WalSegmentSize;
            PostgresConnector primary = Connector(site, secrets, region, dataDirectory);
            await primary.ReachAsync(s_reach, limit.Token).ConfigureAwait(false);
            has = await HasAsync(primary, slot, systemId, segment, size, isReceived, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (
            e is SmcException or NpgsqlException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            string problem = e is OperationCanceledException
                ? string.Create(CultureInfo.InvariantCulture, $"The primary did not answer within {s_limit.TotalSeconds:0} s.")
                : e.Message;
            tell($"{name} cannot be left to the stream: {problem} {UntilText(s_afterSilence)}");
            notes.KeepQuiet(now, s_afterSilence);
            return false;
        }

        if (!has)
        {
            tell($"{name} is not on the primary any more. {UntilText(s_afterLack)}");
            notes.KeepQuiet(now, s_afterLack);
            return false;
        }

        return notes.TryLeave(name, now);
    }

    private static string UntilText(TimeSpan time) =>
        string.Create(CultureInfo.InvariantCulture, $"For {time.TotalSeconds:0} s WAL is fetched from the repository.");

    /// <summary>Whether a primary lets in for replication, and keeps a segment for a slot, or what comes behind it.</summary>
    private static async Task<bool> HasAsync(
        PostgresConnector primary,
        string slot,
        ulong systemId,
        WalSegmentName segment,
        int segmentSize,
        bool isReceived,
        CancellationToken cancellationToken)
    {
        PhysicalReplicationConnection connection = await primary.OpenReplicationAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            ReplicationSystemIdentification server = await connection.IdentifySystem(cancellationToken).ConfigureAwait(false);
            return server.SystemId == FormattableString.Invariant($"{systemId}") && server.Timeline >= segment.Timeline &&
                new Lsn((ulong)server.XLogPos) >= segment.StartLsn(segmentSize) &&
                await connection.ReadReplicationSlot(slot, cancellationToken).ConfigureAwait(false) is { RestartLsn: { } kept } &&
                (ulong)kept != 0 && (isReceived ||
                    WalSegmentName.Containing(new Lsn((ulong)kept), segment.Timeline, segmentSize).Number(segmentSize) <= segment.Number(segmentSize));
        }
    }

    /// <summary>The connection of the standby itself: by the file in which it has the password, where there is one.</summary>
    private static PostgresConnector Connector(Site site, SecretResolver secrets, string region, string dataDirectory)
    {
        string passwordFile = StandbySource.PasswordFileOf(dataDirectory);
        PostgresConnector connector = File.Exists(passwordFile)
            ? new PostgresConnector(
                new NpgsqlConnectionStringBuilder(site.GetDatabase(region).GetConnectionString()) { Passfile = passwordFile }.ConnectionString)
            : site.CreateConnector(secrets, region);
        return connector.WithTimeout(s_limit);
    }
}
