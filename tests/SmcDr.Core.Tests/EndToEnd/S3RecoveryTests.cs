using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>The whole way over a real S3 server: base backup, stream, and recovery of what was committed last.</summary>
[Collection(MotoTests.Name)]
public sealed class S3RecoveryTests(MotoServer moto)
{
    [MotoFact]
    public async Task Recovery_FromS3_BringsBackTheLastCommit()
    {
        string bucket = await moto.CreateBucketAsync();
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/orders?region=us-east-1&pathStyle=true");
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions());
        PostgresConnector connector = server.CreateConnector();
        await server.ExecuteAsync("CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS payload FROM generate_series(1, 200000) i");

        await using (RunningStream stream = RunningStream.Start(connector, repository, "smcdr_s3"))
        {
            // Packs larger than a part, so that they go up in several.
            await BaseBackup.RunAsync(
                connector,
                repository,
                new BaseBackupOptions { Slot = "smcdr_s3", Codec = BlockCodec.None },
                NullObserver.Instance,
                CancellationToken.None);
            await server.ExecuteAsync("INSERT INTO orders VALUES (-1, 'the last')");
            Lsn end = Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
            await stream.Receiver.WaitForFlushAsync(end, CancellationToken.None);
        }

        await server.KillAsync();
        string data = Path.Combine(server.CreateDirectory("recovered"), "data");
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            new RecoveryRequest { Repository = repository, DataDirectory = data, KeepRunning = false },
            NullObserver.Instance,
            CancellationToken.None);
        await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, CancellationToken.None);

        await PostgresServerProof.AssertChecksumsAsync(data);
        await using PostgresServer recovered = await PostgresServer.StartAsync(
            new PostgresServerOptions { ExistingDataDirectory = data, Password = server.Password });
        await using NpgsqlConnection connection = await recovered.OpenAsync();
        Assert.Equal(
            ["200001 the last"],
            await DatabaseContent.ColumnAsync(
                connection, "SELECT count(*) || ' ' || max(payload) FILTER (WHERE id = -1) FROM orders"));
        await recovered.AssertSoundAsync();
    }
}
