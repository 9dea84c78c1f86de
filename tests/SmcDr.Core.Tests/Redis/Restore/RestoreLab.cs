using System.Globalization;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Restore;

/// <summary>A repository in memory, backups of real servers or of RDBs made by hand, and restores of them.</summary>
internal sealed class RestoreLab
{
    public MemoryObjectStore Store { get; } = new();

    public RecordingObserver Observer { get; } = new();

    public static RedisConnector Connect(int port, RedisConnectorOptions? options = null, string? password = null) => new(
        string.Create(CultureInfo.InvariantCulture, $"localhost:{port}"), options, _ => ValueTask.FromResult(password));

    public static async Task<string> DigestAsync(RedisServer server) => (string)(await server.ExecuteAsync("DEBUG", "DIGEST"))!;

    public static async Task FillAsync(RedisServer server, int keys, int size = 20, string prefix = "key:")
    {
        await using RedisTestClient client = await server.ConnectAsync();
        Random random = new(1);
        foreach (int[] part in Enumerable.Range(0, keys).Chunk(1000))
        {
            await client.ExecuteManyAsync([.. part.Select(i =>
            {
                byte[] value = new byte[size];
                random.NextBytes(value);
                return new object[] { "SET", string.Create(CultureInfo.InvariantCulture, $"{prefix}{i}"), value };
            })]);
        }
    }

    /// <summary>Backs a server up.</summary>
    public async Task<BackupReader> BackupAsync(RedisServer server, RedisConnectorOptions? options = null, string? password = null)
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        BackupInfo backup = await RedisBackup.RunAsync(
            Connect(server.Port, options, password), repository, new RedisBackupOptions(), Observer, CancellationToken.None);
        return await repository.OpenBackupAsync(Component.Redis, backup.Id, CancellationToken.None);
    }

    /// <summary>Stores an RDB as the backup that its server would have made; what cannot be read is stored as well.</summary>
    public async Task<BackupReader> StoreAsync(byte[] rdb, string serverVersion = "7.0.15")
    {
        RedisContent? content = null;
        int version = 10;
        try
        {
            (_, RdbSummary summary) = await RdbRecord.ReadAllAsync(rdb);
            content = RdbInspector.Describe(summary);
            version = summary.Version;
        }
        catch (SmcException)
        {
            // Damaged on purpose.
        }

        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        await using BackupWriter writer = await repository.BeginBackupAsync(Component.Redis, "Full", null, null, null, null, CancellationToken.None);
        await using (PackLane lane = writer.OpenLane())
        {
            writer.Add(await StreamedFileWriter.WriteAsync(
                new MemoryStream(rdb), "dump.rdb", lane, static (_, _) => ValueTask.CompletedTask, CancellationToken.None));
            await lane.FinishAsync(CancellationToken.None);
        }

        BackupHeader header = await writer.CompleteAsync(
            "Full",
            header => header with
            {
                StopTime = DateTimeOffset.UtcNow,
                Redis = new RedisBackupDetails
                {
                    Path = "dump.rdb",
                    ServerVersion = serverVersion,
                    Mode = "standalone",
                    Role = "master",
                    Source = "redis:6379",
                    Method = "Replication",
                    RdbVersion = version,
                    HasChecksum = true,
                    TransferStartTime = DateTimeOffset.UtcNow,
                    TransferStopTime = DateTimeOffset.UtcNow,
                    Content = content,
                },
            },
            CancellationToken.None);
        return await repository.OpenBackupAsync(Component.Redis, header.Id, CancellationToken.None);
    }

    public Task<RedisRestoreResult> RestoreAsync(BackupReader backup, RedisServer target, RedisRestoreOptions? options = null) =>
        RestoreAsync(backup, Connect(target.Port), options);

    public Task<RedisRestoreResult> RestoreAsync(
        BackupReader backup,
        RedisConnector connector,
        RedisRestoreOptions? options = null,
        RecordingObserver? observer = null,
        CancellationToken token = default) =>
        new RedisOnlineRestore(connector, backup, options ?? new RedisRestoreOptions()).RunAsync(observer ?? Observer, token);

    public Task<RedisRestorePlan> PlanAsync(BackupReader backup, RedisConnector connector, RedisRestoreOptions? options = null) =>
        new RedisOnlineRestore(connector, backup, options ?? new RedisRestoreOptions()).PlanAsync(Observer, CancellationToken.None);
}
