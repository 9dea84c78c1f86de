using System.Globalization;
using SmcDr.Core.Copies;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Copies;

/// <summary>Copies between S3 and a directory, of a WAL stream that runs, and recovery when S3 is gone.</summary>
[Collection(MotoTests.Name)]
public sealed class StreamCopyTests(MotoServer moto)
{
    [MotoFact]
    public async Task Copy_WhileTheStreamGrows_ThenS3IsDown_TheLastCommitComesBackFromTheCopy()
    {
        string bucket = await moto.CreateBucketAsync();
        string location = $"s3://{bucket}/orders?region=us-east-1&pathStyle=true";
        await using S3ObjectStore store = moto.Open(location);
        using TemporaryDirectory directory = new();
        DirectoryObjectStore copy = new(Path.Combine(directory.Path, "copy"));
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false, WalSegmentMegabytes = 1 });
        PostgresConnector connector = server.CreateConnector();
        await server.ExecuteAsync("CREATE TABLE orders (id int PRIMARY KEY, payload text)");
        await using (RunningStream stream = RunningStream.Start(connector, repository, "smcdr_copy"))
        {
            await BaseBackup.RunAsync(
                connector, repository, new BaseBackupOptions { Slot = "smcdr_copy" }, NullObserver.Instance, CancellationToken.None);
            for (int round = 0; round < 5; round++)
            {
                // Over a segment's end, so that pieces vanish while they are copied.
                Task copying = CopyLab.CopyAllAsync(store, copy);
                for (int i = 0; i < 5; i++)
                {
                    await server.ExecuteAsync(string.Create(
                        CultureInfo.InvariantCulture,
                        $"INSERT INTO orders SELECT i, repeat(md5(i::text), 20) FROM generate_series({((round * 5) + i) * 300}, {(((round * 5) + i) * 300) + 299}) i"));
                }

                await copying;
            }

            Lsn end = Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
            await stream.Receiver.WaitForFlushAsync(end, CancellationToken.None);
            Assert.All(await CopyLab.CopyAllAsync(store, copy), static result => Assert.Equal("Complete", result.State));
        }

        // And back to another bucket, byte for byte.
        await using S3ObjectStore second = moto.Open($"s3://{await moto.CreateBucketAsync()}/again?region=us-east-1&pathStyle=true");
        Assert.All(await CopyLab.CopyAllAsync(copy, second), static result => Assert.Equal("Complete", result.State));
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, CancellationToken.None))
        {
            BackupReader reader = await (await Repository.OpenAsync(second, CancellationToken.None))
                .OpenBackupAsync(Component.Database, entry.Id, CancellationToken.None);
            await reader.CheckPacksAsync(await reader.ReadManifestAsync(CancellationToken.None), CancellationToken.None);
        }

        await server.KillAsync();
        RecordingObserver observer = new();
        await using S3ObjectStore down = moto.Open(
            location, static options => options with { Retries = 0 }, PostgresServer.FreePort());
        Repository reading = await RepositoryCopies.OpenAsync(
            CopyLab.PlaceOf(down), [CopyLab.PlaceOf(copy)], observer, CancellationToken.None);
        Assert.Contains(bucket, Assert.Single(observer.Warnings), StringComparison.Ordinal);
        string data = Path.Combine(server.CreateDirectory("recovered"), "data");
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            new RecoveryRequest { Repository = reading, DataDirectory = data, KeepRunning = false }, observer, CancellationToken.None);
        await DatabaseRecovery.ExecuteAsync(plan, observer, CancellationToken.None);
        await using PostgresServer recovered = await PostgresServer.StartAsync(
            new PostgresServerOptions { ExistingDataDirectory = data, Password = server.Password });
        Assert.Equal("7500 7499", await recovered.ScalarAsync<string>("SELECT count(*) || ' ' || max(id) FROM orders"));
    }
}
