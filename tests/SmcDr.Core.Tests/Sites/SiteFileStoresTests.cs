using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Retention;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Tests.Sites;

/// <summary>Two sites share a repository, and each has a file store of the same name.</summary>
public sealed class SiteFileStoresTests
{
    [Fact]
    public async Task OpenFileStoreBackupAsync_NewestIsAnotherSites_TakesItsOwn()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new Fixtures.MemoryObjectStore(), default);
        string shop = await RetentionWorld.WriteAsync(repository, "config", null, 1, "shop");
        string bank = await RetentionWorld.WriteAsync(repository, "config", null, 2, "bank");
        await RetentionWorld.WriteAsync(repository, "uploads", null, 3, "bank");

        Assert.Equal(shop, (await SiteOf("shop").OpenFileStoreBackupAsync(repository, null, "config", default)).Header.Id);
        // It has but one.
        Assert.Equal(shop, (await SiteOf("shop").OpenFileStoreBackupAsync(repository, null, null, default)).Header.Id);
        // Who names it means it.
        Assert.Equal(bank, (await SiteOf("shop").OpenFileStoreBackupAsync(repository, bank, "config", default)).Header.Id);
        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => SiteOf("shop").OpenFileStoreBackupAsync(repository, null, "uploads", default));
        Assert.Equal(SmcErrorCode.BackupNotFound, e.Code);
        Assert.Contains("'shop'", e.Message, StringComparison.Ordinal);
    }

    /// <summary>That of another site must not hide that there is none.</summary>
    [Fact]
    public async Task CheckAgeAsync_OnlyAnotherSiteHasABackup_SaysThatThereIsNone()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new Fixtures.MemoryObjectStore(), default);
        await RetentionWorld.WriteAsync(repository, "config", null, 1, "bank");
        BackupVerification verification = new(repository, new BackupVerificationOptions(), NullObserver.Instance);

        BackupTestResult missing = Assert.Single(await verification.CheckAgeAsync(SiteOf("shop").GetExpectedBackups(), TimeSpan.FromHours(1), default));
        BackupTestResult present = Assert.Single(await verification.CheckAgeAsync(SiteOf("bank").GetExpectedBackups(), TimeSpan.FromHours(1), default));

        Assert.Equal("SmcBackupNotFound", Assert.Single(missing.Problems).Code);
        Assert.Equal("Passed", present.Outcome);
    }

    private static Site SiteOf(string name) => SiteFile.Parse(
        $$"""
        name: {{name}}
        repository: { location: "file:///backups" }
        regions: { here: { role: primary } }
        fileStores: [ { name: config, path: /etc/shop } ]
        """,
        "/etc/smcdr.yaml");
}
