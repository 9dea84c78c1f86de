using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.Wal;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// kill -9 of the primary in the midst of commits that wait for the repository: each that was acknowledged is there.
/// <c>SMCDR_TEST_ROUNDS</c> says how often, <c>SMCDR_TEST_SEED</c> when.
/// </summary>
public sealed class SynchronousKillTests(ITestOutputHelper output) : IAsyncDisposable
{
    private const int Writers = 6;
    private const string Slot = "smcdr_sync";

    private readonly string _root = Directory.CreateTempSubdirectory("smcdr-kills-").FullName;
    private readonly ConcurrentQueue<(int Writer, int Number)> _acknowledged = new();
    private readonly uint[] _lastXids = new uint[Writers];
    private readonly int[] _numbers = new int[Writers];

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_root, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task RunAsync_SigkillsOfThePrimaryAtRandom_LoseNoAcknowledgedCommit()
    {
        int rounds = Number("SMCDR_TEST_ROUNDS") ?? 5;
        int seed = Number("SMCDR_TEST_SEED") ?? Random.Shared.Next();
        Random random = new(seed);
        output.WriteLine($"Seed {seed}, {rounds} rounds.");
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string> { ["max_wal_size"] = "64MB", ["min_wal_size"] = "32MB" },
        });
        await server.ExecuteAsync("CREATE TABLE t (writer int, number int, filler text, PRIMARY KEY (writer, number))");
        await using DirectoryObjectStore store = new(Path.Combine(_root, "repository"));
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        await using RunningReceiver stream = RunningReceiver.Start(server.CreateConnector(), repository, RunningReceiver.Quick with
        {
            Slot = Slot,
            Exclusive = true,
            Synchronous = true,
            // Nobody is let go, however slow the machine is.
            SynchronousTimeout = TimeSpan.FromMinutes(10),
        });
        await stream.UntilAsync(static status => status.SynchronousState == "Synchronous");
        BackupInfo backup = await BaseBackup.RunAsync(
            server.CreateConnector(), repository, new BaseBackupOptions { Slot = Slot }, NullObserver.Instance, CancellationToken.None);
        ulong systemId = ulong.Parse(stream.Receiver.Status.SystemId!, CultureInfo.InvariantCulture);
        Stopwatch clock = Stopwatch.StartNew();
        for (int round = 1; round <= rounds; round++)
        {
            int goal = _acknowledged.Count + random.Next(1, 300);
            Task[] writers = [.. Enumerable.Range(0, Writers).Select(writer => Task.Run(() => WriteAsync(server, writer)))];
            await UntilAsync(() => _acknowledged.Count >= goal);
            await Task.Delay(random.Next(100));
            await server.KillAsync();
            await Task.WhenAll(writers).WaitAsync(TimeSpan.FromMinutes(2));

            // The server is gone; what the archive has now is what would be left of it.
            await AssertArchivedAsync(repository, systemId, round);
            await server.ResumeAsync();
        }

        output.WriteLine($"{_acknowledged.Count} acknowledged commits, {rounds} kills, {clock.Elapsed.TotalSeconds:0} s, {stream.Receiver.Status.Reconnects} reconnects.");
        Assert.Equal(0, stream.Receiver.Status.BreachCount);
        await server.KillAsync();
        await stream.StopAsync();
        await AssertRecoveredAsync(server, repository, backup.Id);
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;

    private static async Task UntilAsync(Func<bool> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromMinutes(2));
        while (!condition())
        {
            await Task.Delay(1, limit.Token);
        }
    }

    /// <summary>Commits row after row until the server dies, and notes each that the server has acknowledged.</summary>
    private async Task WriteAsync(PostgresServer server, int writer)
    {
        try
        {
            await using NpgsqlConnection connection = await server.OpenAsync();
            while (true)
            {
                int number = ++_numbers[writer];
                await using NpgsqlCommand command = new(
                    "INSERT INTO t VALUES ($1, $2, repeat('x', 200 + $2 % 2000)) RETURNING pg_current_xact_id()::text", connection);
                command.Parameters.AddWithValue(writer);
                command.Parameters.AddWithValue(number);
                command.CommandTimeout = 0;
                uint xid = uint.Parse((string)(await command.ExecuteScalarAsync())!, CultureInfo.InvariantCulture);
                _lastXids[writer] = xid;
                _acknowledged.Enqueue((writer, number));
            }
        }
        catch (Exception e) when (e is NpgsqlException or SocketException or IOException)
        {
            // The server died. Whether the last row was committed nobody was told.
        }
    }

    /// <summary>The last commit of each writer is in the archive, and with it everything that it had committed before.</summary>
    private async Task AssertArchivedAsync(Repository repository, ulong systemId, int round)
    {
        WalArchive archive = new(repository, systemId);
        WalSegmentInfo first = await FirstAsync(archive);
        WalCoverage coverage = await archive.GetCoverageAsync((uint)first.Timeline, Lsn.Parse(first.StartLsn!), null, CancellationToken.None);
        Assert.Null(coverage.Gap);
        for (int writer = 0; writer < Writers; writer++)
        {
            if (_lastXids[writer] is not 0 and uint xid)
            {
                WalTransaction? found = await coverage.FindXidAsync(xid, CancellationToken.None);
                Assert.True(found is { IsCommit: true }, $"Round {round}: transaction {xid} of writer {writer} was acknowledged and is not archived.");
            }
        }
    }

    private static async Task<WalSegmentInfo> FirstAsync(WalArchive archive)
    {
        await foreach (WalSegmentInfo info in archive.ListAsync(CancellationToken.None))
        {
            if (info.StartLsn is not null)
            {
                return info;
            }
        }

        throw new InvalidOperationException("Nothing is archived.");
    }

    private async Task AssertRecoveredAsync(PostgresServer original, Repository repository, string backupId)
    {
        string data = Path.Combine(original.CreateDirectory("recovered"), "data");
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            new RecoveryRequest { Repository = repository, BackupId = backupId, DataDirectory = data, KeepRunning = false },
            NullObserver.Instance,
            CancellationToken.None);
        await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, CancellationToken.None);
        await using PostgresServer recovered = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = data,
            Password = original.Password,
            Fsync = false,
            // What the primary waited for is not there.
            Settings = new Dictionary<string, string> { ["synchronous_standby_names"] = "" },
        });
        HashSet<(int Writer, int Number)> rows = [];
        await using (NpgsqlConnection connection = await recovered.OpenAsync())
        {
            await using NpgsqlCommand command = new("SELECT writer, number FROM t", connection);
            await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                rows.Add((reader.GetInt32(0), reader.GetInt32(1)));
            }
        }

        (int Writer, int Number)[] lost = [.. _acknowledged.Where(row => !rows.Contains(row))];
        output.WriteLine($"{rows.Count} rows recovered, {lost.Length} acknowledged ones lost.");
        Assert.Empty(lost);
    }
}
