using SmcDr.Core.Objectives;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Retention;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Tests.Systems;

/// <summary>Two sites share a repository, and what counts for one is what it could be restored from.</summary>
public sealed class BackupHealthTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_BackupsThatTheSiteCannotBeRestoredFrom_DoNotCount(bool hasObjectives)
    {
        Site site = CreateSite(hasObjectives);
        Repository repository = await OpenAsync(site);
        await RetentionWorld.WriteDatabaseAsync(repository, 2, site: "bank");
        await RetentionWorld.PutSegmentAsync(repository, 2);
        await WriteConfigurationAsync(repository, "shop", withoutSecrets: true);
        await WriteConfigurationAsync(repository, "elsewhere");

        Assert.Equal([("Database", CheckOutcomes.Failed), ("Configuration", CheckOutcomes.Failed)], await RunAsync(site));
        Assert.All(
            await new BackupVerification(repository, new BackupVerificationOptions(), NullObserver.Instance)
                .CheckAgeAsync(site.GetExpectedBackups(), TimeSpan.FromHours(1), default),
            static result => Assert.Equal("SmcBackupNotFound", Assert.Single(result.Problems).Code));

        await RetentionWorld.WriteDatabaseAsync(repository, 2, site: "shop");
        await WriteConfigurationAsync(repository, "shop");
        // With an objective, nobody streams the WAL.
        Assert.Equal(
            [("Database", hasObjectives ? CheckOutcomes.Warning : CheckOutcomes.Passed), ("Configuration", CheckOutcomes.Passed)], await RunAsync(site));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_BackupsDatedInTheFuture_DoNotPassForNewOnes(bool hasObjectives)
    {
        Site site = CreateSite(hasObjectives);
        Repository repository = await OpenAsync(site);
        DateTimeOffset ahead = DateTimeOffset.UtcNow.AddDays(300);
        await RetentionWorld.WriteDatabaseAsync(repository, 2, ahead, site: "shop");
        await RetentionWorld.PutSegmentAsync(repository, 2);
        await WriteConfigurationAsync(repository, "shop", time: ahead);

        Assert.Equal([("Database", CheckOutcomes.Failed), ("Configuration", CheckOutcomes.Failed)], await RunAsync(site));
        string old = await WriteConfigurationAsync(repository, "shop", time: DateTimeOffset.UtcNow.AddHours(-30));
        Assert.Equal(
            [("Database", CheckOutcomes.Failed), ("Configuration", hasObjectives ? CheckOutcomes.Failed : CheckOutcomes.Warning)], await RunAsync(site));
        if (hasObjectives)
        {
            IReadOnlyList<ObjectiveResult> results =
                await new ObjectiveMeter(site, new SecretResolver(), isOffline: true, NullObserver.Instance).MeasureAsync(default);
            Assert.Equal(["Unknown", "Missed"], results.Select(static result => result.RpoVerdict));
            Assert.Equal(old, results[1].BackupId);
        }
    }

    private Site CreateSite(bool hasObjectives) => SiteFile.Parse(
        $$"""
        name: shop
        repository: { location: "file://{{_directory.Path}}/repository" }
        {{(hasObjectives ? "objectives: { database: { rpo: 1h }, configuration: { rpo: 1h } }" : "")}}
        regions:
          here: { role: primary, kubernetes: { namespace: shop }, database: { connection: "Host=127.0.0.1;Port=1;Username=nobody;Timeout=1" } }
        """,
        "/etc/smcdr.yaml");

    private static async Task<Repository> OpenAsync(Site site) =>
        await Repository.OpenOrCreateAsync(ObjectStoreFactory.Open(site.Repository.Location), default);

    private static async Task<IEnumerable<(string Target, string Outcome)>> RunAsync(Site site) =>
        (await new BackupHealth(site, new SecretResolver(), TimeProvider.System).RunAsync([], default).ToListAsync())
            .Where(static result => result.Name == "BackupAge").Select(static result => (result.Target, result.Outcome)).ToList();

    private static async Task<string> WriteConfigurationAsync(
        Repository repository, string scope, bool withoutSecrets = false, DateTimeOffset? time = null)
    {
        await using BackupWriter writer = await repository.BeginBackupAsync(Component.Configuration, "Full", null, "shop", null, null, default);
        return (await writer.CompleteAsync(
            "Full",
            header => header with
            {
                StartTime = time ?? header.StartTime,
                Configuration = new ConfigurationBackupDetails
                {
                    Namespaces = [scope],
                    Cluster = "test",
                    ServerVersion = "v1.29.0",
                    WithoutSecrets = withoutSecrets,
                },
            },
            default)).Id;
    }
}
