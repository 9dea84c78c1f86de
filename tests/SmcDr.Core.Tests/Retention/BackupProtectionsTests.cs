using Amazon.S3;
using Amazon.S3.Model;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using static SmcDr.Core.Tests.Retention.RetentionWorld;
using ObjectLockMode = SmcDr.Core.ObjectStores.ObjectLockMode;

namespace SmcDr.Core.Tests.Retention;

[Collection(MotoTests.Name)]
public sealed class BackupProtectionsTests(MotoServer moto)
{
    [MotoFact]
    public async Task LockAsync_BackupOnS3_LocksAllThatItNeeds_AndOnlyEverLonger()
    {
        string bucket = await moto.CreateBucketAsync(objectLock: true);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/smcdr");
        Repository repository = await Repository.OpenOrCreateAsync(store, default);
        string full = await WriteAsync(repository, "s", null, 1);
        string increment = await WriteAsync(repository, "s", full, 2);
        string other = await WriteAsync(repository, "other", null, 3);
        await store.PutAsync("keys/0123/operator", new byte[] { 1 }, default);
        DateTimeOffset until = DateTimeOffset.UtcNow.AddDays(30);
        BackupProtections protections = new(repository);
        await protections.LockAsync(Component.FileStore, increment, until, ObjectLockMode.Governance, NullObserver.Instance, default);

        List<string> locked = [];
        foreach (string key in await KeysAsync(store))
        {
            if (await RetentionOfAsync(bucket, key) is { } retention)
            {
                locked.Add(key);
                Assert.Equal(ObjectLockRetentionMode.Governance, retention.Mode);
                Assert.True(retention.RetainUntilDate!.Value.ToUniversalTime() >= until.UtcDateTime);
            }
        }

        PackUse use = Assert.Single((await repository.TryFindAsync(Component.FileStore, increment, default))!.Header!.Uses!);
        Assert.Equal(
            (await KeysAsync(store)).Where(key => key is "repository" or "keys/0123/operator" ||
                key.StartsWith($"filestore/{increment}/", StringComparison.Ordinal) ||
                key.StartsWith($"protections/filestore/{increment}/", StringComparison.Ordinal) ||
                use.Numbers().Any(number => key == RepositoryKeys.Pack(Component.FileStore, full, number))),
            locked);

        // Not shortened, though asked for; made longer and firmer.
        string marker = RepositoryKeys.Complete(Component.FileStore, increment);
        await store.LockAsync(marker, until.AddDays(-20), ObjectLockMode.Governance, default);
        Assert.True((await RetentionOfAsync(bucket, marker))!.RetainUntilDate!.Value.ToUniversalTime() >= until.UtcDateTime);
        await store.LockAsync(marker, until.AddDays(-20), ObjectLockMode.Compliance, default);
        ObjectLockRetention firm = (await RetentionOfAsync(bucket, marker))!;
        Assert.Equal(ObjectLockRetentionMode.Compliance, firm.Mode);
        Assert.True(firm.RetainUntilDate!.Value.ToUniversalTime() >= until.UtcDateTime);
        await store.LockAsync(marker, until.AddDays(20), ObjectLockMode.Governance, default);
        ObjectLockRetention longer = (await RetentionOfAsync(bucket, marker))!;
        Assert.Equal(ObjectLockRetentionMode.Compliance, longer.Mode);
        Assert.True(longer.RetainUntilDate!.Value.ToUniversalTime() >= until.AddDays(20).UtcDateTime);

        // Retention heeds it, and what it may remove goes.
        await WriteAsync(repository, "s", null, 4);
        await RunAsync(store, new RetentionPolicy { Last = 1 });
        List<string> left = await ReadAllAsync(store);
        Assert.Contains(increment, left);
        Assert.Contains(other, left);
        Assert.DoesNotContain(full, left);
    }

    [MotoFact]
    public async Task LockAsync_BucketWithoutObjectLock_SaysSoAndLeavesNoWordOfALock()
    {
        string bucket = await moto.CreateBucketAsync();
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/smcdr");
        await AssertUnsupportedAsync(store);
    }

    [Fact]
    public async Task LockAsync_StoreThatCannotLock_SaysSoAndHoldsStillWork()
    {
        MemoryObjectStore store = new();
        await AssertUnsupportedAsync(store);
    }

    [Fact]
    public async Task LockAsync_TimeThatIsOver_IsRefused()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default);
        string id = await WriteAsync(repository, "s", null, 1);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => new BackupProtections(repository).LockAsync(
            Component.FileStore, id, DateTimeOffset.UtcNow.AddMinutes(-1), ObjectLockMode.Governance, NullObserver.Instance, default));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
    }

    [Fact]
    public async Task HoldAsync_BackupRemovedAtThatMoment_SaysSo()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, default);
        string id = await WriteAsync(repository, "s", null, 1);
        store.BeforePut = (_, token) => store.DeleteAsync(RepositoryKeys.Complete(Component.FileStore, id), token);
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => new BackupProtections(repository).HoldAsync(Component.FileStore, id, "why", default));
        Assert.Equal(SmcErrorCode.BackupRemoved, error.Code);
        Assert.DoesNotContain(store.Keys, static key => key.StartsWith("protections/", StringComparison.Ordinal));
    }

    [MotoFact]
    public async Task ExecuteAsync_OnS3_RemovesAndVerifies()
    {
        string bucket = await moto.CreateBucketAsync();
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/smcdr");
        Repository repository = await Repository.OpenOrCreateAsync(store, default);
        string full = await WriteAsync(repository, "s", null, 1);
        string increment = await WriteAsync(repository, "s", full, 2);
        await RunAsync(store, new RetentionPolicy { Last = 1 });
        Assert.Equal([increment], await ReadAllAsync(store));
        List<BackupTestResult> results = [];
        await foreach (BackupTestResult result in new SmcDr.Core.Verification.BackupVerification(
            repository, new SmcDr.Core.Verification.BackupVerificationOptions { Deep = true }, NullObserver.Instance).RunAsync(default))
        {
            results.Add(result);
        }

        Assert.Equal("Passed", Assert.Single(results).Outcome);
    }

    private static async Task AssertUnsupportedAsync(IObjectStore store)
    {
        Repository repository = await Repository.OpenOrCreateAsync(store, default);
        string id = await WriteAsync(repository, "s", null, 1);
        BackupProtections protections = new(repository);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => protections.LockAsync(
            Component.FileStore, id, DateTimeOffset.UtcNow.AddDays(1), ObjectLockMode.Governance, NullObserver.Instance, default));
        Assert.Equal(SmcErrorCode.LockUnsupported, error.Code);
        Assert.Empty(await KeysAsync(store, "protections/"));
        await protections.HoldAsync(Component.FileStore, id, "why", default);
        Assert.True((await protections.GetAsync(Component.FileStore, id, default)).IsActive(DateTimeOffset.UtcNow));
    }

    private async Task<ObjectLockRetention?> RetentionOfAsync(string bucket, string key)
    {
        GetObjectMetadataResponse head = await moto.Client.GetObjectMetadataAsync(
            new GetObjectMetadataRequest { BucketName = bucket, Key = $"smcdr/{key}" });
        return head.ObjectLockRetainUntilDate is not { } until ? null
            : new ObjectLockRetention { RetainUntilDate = until, Mode = new ObjectLockRetentionMode(head.ObjectLockMode.Value) };
    }
}
