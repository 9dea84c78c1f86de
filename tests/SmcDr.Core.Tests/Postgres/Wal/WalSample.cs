using System.Globalization;
using System.Text.RegularExpressions;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>Real WAL of a server with small segments that did a bit of everything, and what pg_waldump says of it. Made once.</summary>
public sealed partial class WalSample : IAsyncLifetime
{
    public const int SegmentSize = 1 << 20;

    public ulong SystemId { get; private set; }

    /// <summary>The segments, in order: complete ones, the last ended by a switch.</summary>
    public IReadOnlyList<(WalSegmentName Name, byte[] Content)> Segments { get; private set; } = [];

    /// <summary>The ends of transactions: kind, id, time and the beginning of the record.</summary>
    public IReadOnlyList<(WalTransactionKind Kind, uint Xid, DateTimeOffset Time, Lsn Lsn)> Transactions { get; private set; } = [];

    /// <summary>The restore points: name, the beginning of the record, and what the function returned.</summary>
    public IReadOnlyList<(string Name, Lsn Lsn, Lsn EndLsn)> RestorePoints { get; private set; } = [];

    /// <summary>The beginnings of the records, all of them.</summary>
    public IReadOnlyList<Lsn> Records { get; private set; } = [];

    public Lsn StartLsn => Segments[0].Name.StartLsn(SegmentSize);

    /// <summary>All of it, a copy that a test may change.</summary>
    public byte[] Bytes
    {
        get
        {
            byte[] bytes = new byte[Segments.Count * SegmentSize];
            for (int i = 0; i < Segments.Count; i++)
            {
                Segments[i].Content.CopyTo(bytes, i * SegmentSize);
            }

            return bytes;
        }
    }

    public async Task InitializeAsync()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string>
            {
                ["max_prepared_transactions"] = "5",
                ["wal_level"] = "logical",
                ["wal_keep_size"] = "200MB",
                ["track_commit_timestamp"] = "on",
            },
        });
        SystemId = ulong.Parse(await server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()"), CultureInfo.InvariantCulture);
        await server.ExecuteAsync("SELECT pg_switch_wal()");
        List<(string Name, Lsn EndLsn)> points = [];
        await server.ExecuteAsync("CREATE TABLE t (id int PRIMARY KEY, v text)");
        for (int i = 0; i < 60; i++)
        {
            await server.ExecuteAsync(string.Create(CultureInfo.InvariantCulture, $"""
                INSERT INTO t SELECT g, repeat(md5(g::text), 1 + g % 40) FROM generate_series({i * 200}, {(i * 200) + 199}) g;
                UPDATE t SET v = v || 'x' WHERE id % 17 = {i % 17};
                """));
        }

        await server.ExecuteAsync("BEGIN; INSERT INTO t VALUES (-1, 'a'); SAVEPOINT s; INSERT INTO t VALUES (-2, 'b'); ROLLBACK TO s; INSERT INTO t VALUES (-3, 'c'); COMMIT");
        await server.ExecuteAsync("BEGIN; INSERT INTO t VALUES (-4, 'a'); ROLLBACK");
        points.Add(("before the drop", Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_create_restore_point('before the drop')::text"))));
        await server.ExecuteAsync("CREATE TABLE dropped (a int); CREATE INDEX ON dropped (a); DROP TABLE dropped");
        await server.ExecuteAsync("BEGIN; CREATE TABLE p (a text); INSERT INTO p SELECT repeat('y', 300) FROM generate_series(1, 50); PREPARE TRANSACTION 'one'");
        await server.ExecuteAsync("COMMIT PREPARED 'one'");
        await server.ExecuteAsync("BEGIN; DROP TABLE p; PREPARE TRANSACTION 'two'");
        await server.ExecuteAsync("ROLLBACK PREPARED 'two'");
        // Records that cross pages and segments: a row of 3 MB, uncompressed, in one logical message.
        await server.ExecuteAsync("SELECT pg_logical_emit_message(true, 'big', repeat('z', 3000000))");
        await server.ExecuteAsync("CHECKPOINT");
        await server.ExecuteAsync("UPDATE t SET v = 'full pages again'");
        points.Add(("täst", Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_create_restore_point('täst')::text"))));
        await server.ExecuteAsync("SELECT pg_switch_wal()");
        await server.ExecuteAsync("INSERT INTO t VALUES (-9, 'behind the switch')");
        // Several hundred subtransactions that roll back, dropped relations in one commit.
        await server.ExecuteAsync("""
            DO $$ BEGIN FOR i IN 1..300 LOOP BEGIN INSERT INTO t VALUES (-1000 - i, 'x'); IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
            EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
            """);
        await server.ExecuteAsync("SELECT pg_switch_wal()");
        string end = await server.ScalarAsync<string>("SELECT pg_current_wal_lsn()::text");
        WalSegmentName last = WalSegmentName.Parse(await server.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_lsn())"));
        await server.StopAsync();

        string directory = Path.Combine(server.DataDirectory, "pg_wal");
        WalSegmentName[] names = [.. Directory.GetFiles(directory)
            .Select(Path.GetFileName).Where(static name => WalSegmentName.TryParse(name, out _)).Select(static name => WalSegmentName.Parse(name!))
            .Where(name => name.Number(SegmentSize) <= last.Number(SegmentSize) && name.Number(SegmentSize) >= 2)
            .OrderBy(static name => name.Number(SegmentSize))];
        Segments = [.. names.Select(name => (name, File.ReadAllBytes(Path.Combine(directory, name.ToString()))))];
        string dump = await PostgresPrograms.RunAsync(
            "pg_waldump", ["-p", directory, "-s", StartLsn.ToString(), "-e", Lsn.Parse(end).ToString()]);
        Read(dump, points);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [GeneratedRegex(@"^rmgr: (\w+)\s+len.*tx:\s+(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), prev [0-9A-F/]+, desc: (\w+)(.*)$")]
    private static partial Regex RecordPattern();

    [GeneratedRegex(@"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) ")]
    private static partial Regex TimePattern();

    private void Read(string dump, List<(string Name, Lsn EndLsn)> points)
    {
        List<(WalTransactionKind, uint, DateTimeOffset, Lsn)> transactions = [];
        List<(string, Lsn, Lsn)> restorePoints = [];
        List<Lsn> records = [];
        foreach (string line in dump.Split('\n'))
        {
            Match match = RecordPattern().Match(line);
            if (!match.Success)
            {
                continue;
            }

            Lsn lsn = Lsn.Parse(match.Groups[3].Value);
            records.Add(lsn);
            string what = match.Groups[4].Value;
            string rest = match.Groups[5].Value;
            WalTransactionKind? kind = (match.Groups[1].Value, what) switch
            {
                ("Transaction", "COMMIT") => WalTransactionKind.Commit,
                ("Transaction", "ABORT") => WalTransactionKind.Abort,
                ("Transaction", "COMMIT_PREPARED") => WalTransactionKind.CommitPrepared,
                ("Transaction", "ABORT_PREPARED") => WalTransactionKind.AbortPrepared,
                _ => null,
            };
            if (kind is { } known)
            {
                // "COMMIT_PREPARED 742: 2026-…" names the prepared transaction, which is not the record's own.
                uint xid = known is WalTransactionKind.Commit or WalTransactionKind.Abort
                    ? uint.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture)
                    : uint.Parse(rest.Trim().Split(':')[0], CultureInfo.InvariantCulture);
                string time = TimePattern().Match(rest + " ").Groups[1].Value;
                transactions.Add((known, xid, DateTimeOffset.Parse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal), lsn));
            }
            else if (what == "RESTORE_POINT")
            {
                restorePoints.Add((points[restorePoints.Count].Name, lsn, points[restorePoints.Count].EndLsn));
            }
        }

        (Transactions, RestorePoints, Records) = (transactions, restorePoints, records);
    }
}
