using SmcDr.Core.Encryption;
using SmcDr.Core.Leases;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Tests.Sites;

/// <summary>How often a command that works on a site of several regions unwraps the repository's key, which takes half a second with a passphrase.</summary>
public sealed class SiteOpeningsTests : IDisposable
{
    private const string Variable = "SMCDR_TEST_OPENINGS_PASSPHRASE";
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("smcdr-test-openings-");

    public SiteOpeningsTests() => Environment.SetEnvironmentVariable(Variable, "correct horse battery staple");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task Open_SiteThatWasLedElsewhere_TheKeyIsUnwrappedOnceHoweverOftenTheRepositoryIsOpened()
    {
        SecretResolver secrets = new();
        await MakeAsync(secrets);

        Site site = await Load().FindLeaderAsync(secrets, NullObserver.Instance, default);
        Assert.Equal("west", site.PrimaryRegion.Name);
        Assert.Equal(1, site.Keys.Openings);

        // What a plan opens beside: to read from, for its journal, and for the epochs at each step.
        SitePlanContext context = await SitePlanContext.OpenAsync(site, secrets, NullObserver.Instance, default);
        for (int i = 0; i < 3; i++)
        {
            Repository repository = await site.OpenRepositoryAsync(secrets, default);
            Assert.Equal("west", (await new FencingEpochs(repository, site.Name).ReadAsync(default))!.Region);
        }

        Assert.Equal("west", (await new FencingEpochs(context.Repository, site.Name).ReadAsync(default))!.Region);
        Assert.Equal(1, site.Keys.Openings);
        Assert.Equal(0, Load().Keys.Openings);
    }

    [Fact]
    public async Task Open_KeyWasRenewedMeanwhile_TheNewOneIsFoundAndUnwrapped()
    {
        SecretResolver secrets = new();
        await MakeAsync(secrets);
        Site site = await Load().FindLeaderAsync(secrets, NullObserver.Instance, default);
        using (RepositoryKeySource source = RepositoryKeySource.FromPassphrase("correct horse battery staple"))
        {
            await RepositoryRecipients.RenewAsync(ObjectStoreFactory.Open(site.Repository.Location), [source], default);
        }

        Repository theirs = await Load().OpenRepositoryAsync(secrets, default);
        await new FencingEpochs(theirs, site.Name).AdvanceAsync(1, "east", "under the new key", default);

        Repository repository = await site.OpenRepositoryAsync(secrets, default);

        Assert.Equal("east", (await new FencingEpochs(repository, site.Name).ReadAsync(default))!.Region);
        Assert.Equal(2, site.Keys.Openings);
    }

    [Fact]
    public async Task Open_PassphraseThatIsNot_OpensNothingAndIsNotRemembered()
    {
        SecretResolver secrets = new();
        await MakeAsync(secrets);
        Site site = Load();
        Environment.SetEnvironmentVariable(Variable, "another passphrase");
        Assert.Equal(SmcErrorCode.KeyWrong, (await Assert.ThrowsAsync<SmcException>(() => site.OpenRepositoryAsync(secrets, default))).Code);

        Environment.SetEnvironmentVariable(Variable, "correct horse battery staple");

        await site.OpenRepositoryAsync(secrets, default);
        Assert.Equal(2, site.Keys.Openings);
    }

    [Fact]
    public async Task Open_PassphraseIsAnotherMeanwhile_WhatWasOpenedBeforeDoesNotHelp()
    {
        SecretResolver secrets = new();
        await MakeAsync(secrets);
        Site site = Load();
        await site.OpenRepositoryAsync(secrets, default);
        Environment.SetEnvironmentVariable(Variable, "another passphrase");

        Assert.Equal(SmcErrorCode.KeyWrong, (await Assert.ThrowsAsync<SmcException>(() => site.OpenRepositoryAsync(secrets, default))).Code);
    }

    private async Task MakeAsync(SecretResolver secrets)
    {
        Repository repository = await Load().OpenOrCreateRepositoryAsync(secrets, default);
        await new FencingEpochs(repository, "openings").AdvanceAsync(0, "west", "a test", default);
    }

    private Site Load()
    {
        string path = Path.Combine(_directory.FullName, "smcdr.yaml");
        File.WriteAllText(path, $$"""
            name: openings
            repository: { location: "file://{{_directory.FullName}}/repository", encryptionKey: "env:{{Variable}}" }
            regions:
              east: { role: primary, database: { connection: "Host=192.0.2.1;Username=postgres" } }
              west: { role: standby, database: { connection: "Host=192.0.2.2;Username=postgres" } }
            """);
        return SiteFile.Load(path);
    }
}
