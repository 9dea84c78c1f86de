using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>A random workload, recovered to random points of it: what comes back is what was there.</summary>
public sealed class RandomRecoveryTests(ITestOutputHelper output) : IAsyncDisposable
{
    private const int Points = 20;

    private readonly string _root = Directory.CreateTempSubdirectory("smcdr-random-").FullName;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_root, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Recovery_ToTwentyRandomPoints_BringsBackWhatWasThere()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"Seed {seed}.");
        Random random = new(seed);

        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions());
        string tablespace = server.CreateDirectory("space");
        await server.ExecuteAsync($"CREATE TABLESPACE space LOCATION '{tablespace}'");
        await using NpgsqlConnection connection = await server.OpenAsync();
        RandomWorkload workload = new(connection, random, "space");
        await workload.PrepareAsync();

        await using DirectoryObjectStore store = new(Path.Combine(_root, "repository"));
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        PostgresConnector connector = server.CreateConnector();
        await using RunningStream stream = RunningStream.Start(connector, repository, "smcdr_random");
        await StepsAsync(workload, 20);
        await BaseBackup.RunAsync(
            connector, repository, new BaseBackupOptions { Slot = "smcdr_random" }, NullObserver.Instance, CancellationToken.None);

        List<Point> points = [];
        for (int i = 0; i < Points; i++)
        {
            await StepsAsync(workload, random.Next(1, 25));
            points.Add(await RecordAsync(connection, byTime: i % 2 == 0));
        }

        await StepsAsync(workload, 10);
        Lsn end = Lsn.Parse((await DatabaseContent.ColumnAsync(connection, "SELECT pg_current_wal_flush_lsn()::text"))[0]);
        await stream.Receiver.WaitForFlushAsync(end, CancellationToken.None);
        await stream.StopAsync();

        foreach ((Point point, int index) in points.Select(static (point, index) => (point, index)).OrderBy(_ => random.Next()))
        {
            output.WriteLine($"Point {index}: {point.Target}.");
            await RecoverAndCompareAsync(server, repository, point, index);
        }
    }

    private static async Task RecoverAndCompareAsync(PostgresServer original, Repository repository, Point point, int index)
    {
        string directory = original.CreateDirectory($"recovered-{index}");
        string data = Path.Combine(directory, "data");
        RecoveryRequest request = new()
        {
            Repository = repository,
            Target = point.Target,
            DataDirectory = data,
            Tablespaces = new Dictionary<string, string> { ["space"] = Path.Combine(directory, "space") },
            KeepRunning = false,
        };
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, CancellationToken.None);
        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, CancellationToken.None);
        Assert.Equal(data, result.DataDirectory);

        await PostgresServerProof.AssertChecksumsAsync(data);
        await using PostgresServer recovered = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = data,
            Password = original.Password,
        });
        await using (NpgsqlConnection connection = await recovered.OpenAsync())
        {
            Assert.Equal(point.Content, await DatabaseContent.ReadAsync(connection));
            DatabaseContent.AssertSequence(point.Sequence, await DatabaseContent.ReadSequenceAsync(connection));
        }

        await recovered.AssertSoundAsync();
    }

    private static async Task StepsAsync(RandomWorkload workload, int count)
    {
        for (int i = 0; i < count; i++)
        {
            await workload.StepAsync();
        }
    }

    /// <summary>What is there now, and a target that lies between the last transaction and the next.</summary>
    private static async Task<Point> RecordAsync(NpgsqlConnection connection, bool byTime)
    {
        string content = await DatabaseContent.ReadAsync(connection);
        long sequence = await DatabaseContent.ReadSequenceAsync(connection);
        RecoveryTarget target;
        if (byTime)
        {
            await using NpgsqlCommand command = new("SELECT clock_timestamp()", connection);
            target = RecoveryTarget.AtTime(new DateTimeOffset((DateTime)(await command.ExecuteScalarAsync())!));
        }
        else
        {
            // The next record begins here, so it must not be replayed.
            string lsn = (await DatabaseContent.ColumnAsync(connection, "SELECT pg_current_wal_insert_lsn()::text"))[0];
            target = RecoveryTarget.AtLsn(Lsn.Parse(lsn)) with { Inclusive = false };
        }

        return new Point(target, content, sequence);
    }

    private sealed record Point(RecoveryTarget Target, string Content, long Sequence);
}
