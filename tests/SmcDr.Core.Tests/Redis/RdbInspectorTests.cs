using System.Globalization;
using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Redis.Rdb;
using static SmcDr.Core.Tests.Redis.Rdb.RdbBuilder;

namespace SmcDr.Core.Tests.Redis;

/// <summary>What a backup says of what it holds, and what becomes of one that cannot be read.</summary>
public sealed class RdbInspectorTests
{
    private readonly MemoryObjectStore _store = new();
    private readonly RecordingObserver _observer = new();

    [Theory]
    [InlineData(RedisBackupMethod.Replication)]
    [InlineData(RedisBackupMethod.BgSave)]
    public async Task Backup_ServerWithEveryType_SaysWhatItHolds(RedisBackupMethod method)
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(server);
        BackupInfo backup = await BackupAsync($"127.0.0.1:{server.Port}", new() { Method = method });

        RedisBackupDetails details = (await OpenAsync(backup)).Header.Redis!;
        RedisContent content = details.Content!;
        Assert.Null(details.NotExamined);
        Assert.Equal(details.Databases, content.Databases.Select(static database => new RedisDatabaseSize(database.Database, database.Keys, database.Expires)));
        Assert.Equal((content.Keys, content.Expires), (backup.KeyCount!.Value, backup.ExpiringKeyCount!.Value));
        Assert.Equal(content.Keys, content.Databases.Sum(static database => database.Types.Sum(static type => type.Keys)));
        Assert.Equal(
            ["String", "List", "Set", "SortedSet", "Hash", "Stream"], content.Databases[0].Types.Select(static type => type.Type));
        RedisTypeContent lists = content.Databases[0].Types.Single(static type => type.Type == "List");
        Assert.InRange(lists.Elements, 1000, 5000);
        // Keys count uncompressed.
        Assert.InRange(content.Bytes, backup.SizeBytes!.Value / 2, backup.SizeBytes.Value + 10_000);
        Assert.Equal(["sample"], content.Functions);
        Assert.Empty(content.Modules);
        Assert.InRange(content.UsedMemory!.Value, 1 << 20, 1 << 30);
    }

    [Fact]
    public async Task Backup_FormatThatIsNotKnown_IsABackupWithAWarning()
    {
        BackupInfo backup = await BackupAsync(Seal([.. "REDIS0099"u8, 1, 2, 3, 0xFF]));

        RedisBackupDetails details = (await OpenAsync(backup)).Header.Redis!;
        Assert.Equal(("Complete", 99), (backup.State, details.RdbVersion));
        Assert.Null(details.Content);
        Assert.Null(backup.KeyCount);
        Assert.Contains("version 99", details.NotExamined, StringComparison.Ordinal);
        string warning = Assert.Single(_observer.Warnings);
        Assert.Contains("version 99", warning, StringComparison.Ordinal);
        Assert.Contains("Its checksum is right", warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backup_OpcodeThatIsNotKnownUnderARightChecksum_IsABackupWithAWarning()
    {
        BackupInfo backup = await BackupAsync(new RdbBuilder().Add(200, 1, 2, 3).Build());

        Assert.Contains("200 is not a type or opcode", (await OpenAsync(backup)).Header.Redis!.NotExamined, StringComparison.Ordinal);
        Assert.Single(_observer.Warnings);
    }

    /// <summary>A reader that has given up must not hold up what comes behind, however much that is.</summary>
    [Fact]
    public async Task Backup_ReaderGivesUpAtTheBeginning_TheRestComesNevertheless()
    {
        byte[] noise = new byte[40 << 20];
        new Random(5).NextBytes(noise);
        byte[] rdb = Seal([.. "REDIS0099"u8, .. noise, 0xFF]);

        BackupInfo backup = await BackupAsync(rdb);

        Assert.Equal(rdb.LongLength, backup.SizeBytes);
    }

    [Fact]
    public async Task Backup_ChecksumIsWrong_NeverBecomesABackup()
    {
        byte[] rdb = new RdbBuilder().Key(RdbEncoding.String, "key", RdbBuilder.String("a value")).Build();
        rdb[^12] ^= 1;

        await SmcErrorCode.BackupInterrupted.ThrowsAsync(() => BackupAsync(rdb));

        Assert.DoesNotContain(_store.Keys, static key => key.StartsWith("redis/", StringComparison.Ordinal));
    }

    /// <summary>Nothing else would tell a damaged one from a sound one.</summary>
    [Fact]
    public async Task Backup_StructureIsWrongAndThereIsNoChecksum_NeverBecomesABackup()
    {
        byte[] rdb = new RdbBuilder().Key(RdbEncoding.ListQuicklist2, "key", [.. Length(1), 9, .. RdbBuilder.String("x")]).BuildWithoutChecksum();

        SmcException error = await SmcErrorCode.RdbInvalid.ThrowsAsync(() => BackupAsync(rdb));

        Assert.Contains("rdbchecksum", error.Recommendation, StringComparison.Ordinal);
        Assert.DoesNotContain(_store.Keys, static key => key.StartsWith("redis/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Backup_SomethingBehindTheEndAndNoChecksum_NeverBecomesABackup()
    {
        byte[] rdb = [.. new RdbBuilder().BuildWithoutChecksum(), 0xFF, .. new byte[8]];

        await SmcErrorCode.RdbInvalid.ThrowsAsync(() => BackupAsync(rdb));
    }

    [Fact]
    public async Task Backup_MoreDatabasesThanAManifestShouldName_AreCountedTogether()
    {
        RdbBuilder builder = new();
        for (ulong database = 0; database < 1500; database++)
        {
            builder.Add([254, .. Length(database)]).Key(RdbEncoding.String, "k", RdbBuilder.String("v"));
        }

        RedisContent content = (await OpenAsync(await BackupAsync(builder.Build()))).Header.Redis!.Content!;

        Assert.Equal((1500, 1000), (content.Keys, content.Databases.Count));
    }

    [Fact]
    public async Task DisposeAsync_InTheMiddle_EndsTheReader()
    {
        RdbInspector inspector = new("the test", NullObserver.Instance);
        await inspector.ObserveAsync(new RdbBuilder().BuildOpen(), CancellationToken.None);
        await inspector.DisposeAsync();
    }

    private async Task<BackupReader> OpenAsync(BackupInfo backup) =>
        await (await Repository.OpenAsync(_store, CancellationToken.None)).OpenBackupAsync(Component.Redis, backup.Id, CancellationToken.None);

    private async Task<BackupInfo> BackupAsync(byte[] rdb)
    {
        await using ScriptedServer master = ScriptedServer.Master(async (stream, token) =>
        {
            await ScriptedServer.SendAsync(
                stream, string.Create(CultureInfo.InvariantCulture, $"+FULLRESYNC {new string('a', 40)} 77\r\n${rdb.Length}\r\n"), token);
            await stream.WriteAsync(rdb, token);
        });
        return await BackupAsync(master.Endpoint, new());
    }

    private async Task<BackupInfo> BackupAsync(string endpoint, RedisBackupOptions options) => await RedisBackup.RunAsync(
        new RedisConnector(endpoint), await Repository.OpenOrCreateAsync(_store, CancellationToken.None), options, _observer, CancellationToken.None);
}
