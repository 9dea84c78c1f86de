using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Redis.Rdb;
using SmcDr.Core.Tests.Retention;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Tests.Redis;

/// <summary>What becomes of Redis backups that are there: verification and retention.</summary>
public sealed class RedisUpkeepTests
{
    private static readonly byte[] s_sound = new RdbBuilder().Key(RdbEncoding.String, "key", RdbBuilder.String("a value")).Build();

    private readonly MemoryObjectStore _store = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Verify_SoundBackup_Passes(bool deep)
    {
        await WriteAsync(s_sound, 1);

        BackupTestResult result = Assert.Single(await VerifyAsync(new() { Deep = deep }));

        Assert.Equal(("Passed", "Redis", "orders"), (result.Outcome, result.Component, result.Subject));
        Assert.Equal(deep, result.CheckedBytes > 0);
    }

    /// <summary>The objects are as they were written, so that only the RDB's own checksum tells.</summary>
    [Fact]
    public async Task Verify_RdbWasDamagedBeforeItWasStored_IsFoundByADeepOne()
    {
        byte[] damaged = [.. s_sound];
        damaged[^12] ^= 1;
        string id = await WriteAsync(damaged, 1);

        Assert.Equal("Passed", Assert.Single(await VerifyAsync(new())).Outcome);
        BackupTestResult result = Assert.Single(await VerifyAsync(new() { Deep = true }));

        Assert.Equal("Failed", result.Outcome);
        BackupProblem problem = Assert.Single(result.Problems);
        Assert.Equal((id, "SmcRdbInvalid"), (problem.Target, problem.Code));
        Assert.Contains("checksum", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_ManifestCountsOtherKeys_IsFoundByADeepOne()
    {
        await WriteAsync(s_sound, 2);

        BackupTestResult result = Assert.Single(await VerifyAsync(new() { Deep = true }));

        Assert.Contains("says that it holds 2 keys, and its RDB holds 1", Assert.Single(result.Problems).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_FormatThatIsNotKnown_Passes()
    {
        await WriteAsync(RdbBuilder.Seal([.. "REDIS0099"u8, 1, 2, 3, 0xFF]), null);

        Assert.Equal("Passed", Assert.Single(await VerifyAsync(new() { Deep = true })).Outcome);
    }

    [Fact]
    public async Task Verify_VerifiedBefore_IsNotReadAgain()
    {
        await WriteAsync(s_sound, 1);
        await VerifyAsync(new() { Deep = true });
        foreach (string key in _store.Keys.Where(static key => key.Contains("/pack-", StringComparison.Ordinal)))
        {
            byte[] content = _store[key];
            content[^1] ^= 1;
        }

        Assert.Equal("Passed", Assert.Single(await VerifyAsync(new() { Deep = true, VerifiedWithin = TimeSpan.FromHours(1) })).Outcome);
    }

    [Fact]
    public async Task CheckAge_RedisOfAnotherSiteInTheSameRepository_DoesNotCount()
    {
        await WriteAsync(s_sound, 1, "billing");
        BackupVerification verification = new(await Repository.OpenAsync(_store, default), new(), NullObserver.Instance);

        BackupTestResult result = Assert.Single(await verification.CheckAgeAsync(
            [new ExpectedBackup(Component.Redis, "orders")], TimeSpan.FromHours(1), default));

        Assert.Equal("There is no complete backup of Redis orders.", Assert.Single(result.Problems).Message);
    }

    /// <summary>Of each site the newest is kept, although they share a repository.</summary>
    [Fact]
    public async Task Retention_TwoSitesInOneRepository_AreThinnedOutApart()
    {
        string old = await WriteAsync(s_sound, 1);
        string billing = await WriteAsync(s_sound, 1, "billing");
        string newest = await WriteAsync(s_sound, 1);

        await RetentionWorld.RunAsync(_store, new RetentionPolicy { Last = 1 });

        Repository repository = await Repository.OpenAsync(_store, default);
        List<string> left = [];
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Redis, default))
        {
            left.Add(entry.Id);
        }

        Assert.Equal(new[] { billing, newest }.Order(), left.Order());
        Assert.DoesNotContain(_store.Keys, key => key.Contains(old, StringComparison.Ordinal));
    }

    private async Task<string> WriteAsync(byte[] rdb, long? keys, string site = "orders")
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.Redis, "Full", null, site, null, new BackupWriterOptions(), default);
        await using PackLane lane = writer.OpenLane();
        writer.Add(new ManifestEntry
        {
            Kind = ManifestEntryKind.File,
            Path = "dump.rdb",
            Mode = 0x180,
            Size = rdb.Length,
            Extents = [await lane.WriteAsync(rdb, default)],
        });
        await lane.FinishAsync(default);
        await writer.CompleteAsync(
            "Full",
            header => header with
            {
                StopTime = header.StartTime,
                Redis = new RedisBackupDetails
                {
                    Path = "dump.rdb",
                    ServerVersion = "7.0.15",
                    Mode = "standalone",
                    Role = "master",
                    Source = "redis:6379",
                    Method = "Replication",
                    RdbVersion = 10,
                    HasChecksum = true,
                    TransferStartTime = header.StartTime,
                    TransferStopTime = header.StartTime,
                    Content = keys is { } count ? new RedisContent { Keys = count, Expires = 0, Bytes = 11 } : null,
                },
            },
            default);
        return writer.Id;
    }

    private async Task<List<BackupTestResult>> VerifyAsync(BackupVerificationOptions options)
    {
        BackupVerification verification = new(await Repository.OpenAsync(_store, default), options, NullObserver.Instance);
        List<BackupTestResult> results = [];
        await foreach (BackupTestResult result in verification.RunAsync(default))
        {
            results.Add(result);
        }

        return results;
    }
}
