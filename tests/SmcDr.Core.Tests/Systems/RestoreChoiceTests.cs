using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems.Restore;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Tests.Systems;

public sealed class RestoreChoiceTests
{
    private static readonly DateTimeOffset s_attack = new(2026, 11, 5, 10, 0, 0, TimeSpan.Zero);
    private static readonly Site s_site = SiteFile.Parse("""
        name: orders
        repository: { location: /srv/repository }
        regions:
          here: { role: primary, kubernetes: { namespace: orders }, redis: { endpoint: "cache:6379" } }
        fileStores: [ { name: files, path: /srv/files } ]
        """, "/etc/smcdr.yaml");

    private readonly RecordingObserver _observer = new();

    [Theory]
    [InlineData(Component.FileStore, "files")]
    [InlineData(Component.Redis, null)]
    [InlineData(Component.Configuration, null)]
    public async Task FindAsync_BackupBegunBeforeTheInstant_ThatWasReadUntilAfterIt_IsNotTaken(Component component, string? subject)
    {
        Repository repository = await OpenAsync();
        string before = await WriteAsync(repository, component, s_attack.AddHours(-8), s_attack.AddHours(-7));
        string over = await WriteAsync(repository, component, s_attack.AddMinutes(-1), s_attack.AddHours(1));

        Assert.Equal(before, await FindAsync(repository, component, subject, s_attack));
        Assert.Equal(over, await FindAsync(repository, component, subject, s_attack.AddHours(1)));
        Assert.Equal(over, await FindAsync(repository, component, subject, null));
        Assert.Empty(_observer.Warnings);
    }

    [Theory]
    [InlineData("shop", false, "the namespace 'orders'")]
    [InlineData("orders", true, "the Secrets")]
    public async Task FindAsync_NewerBackupThatTheSystemDoesNotComeBackFrom_IsNotTaken(string scope, bool withoutSecrets, string lack)
    {
        Repository repository = await OpenAsync();
        string whole = await WriteAsync(repository, Component.Configuration, s_attack.AddHours(-8), s_attack.AddHours(-8));
        await WriteAsync(repository, Component.Configuration, s_attack.AddHours(-2), s_attack.AddHours(-2), scope, withoutSecrets);

        Assert.Equal(whole, await FindAsync(repository, Component.Configuration, null, s_attack));
        Assert.Contains($"lacks {lack}: '{whole}' is taken", Assert.Single(_observer.Warnings), StringComparison.Ordinal);
        Assert.Equal(whole, (await s_site.OpenConfigurationBackupAsync(repository, null, default)).Header.Id);
    }

    [Fact]
    public async Task FindAsync_NoBackupWithSecrets_TakesTheNewestOfTheNamespace()
    {
        Repository repository = await OpenAsync();
        string bare = await WriteAsync(repository, Component.Configuration, s_attack.AddHours(-8), s_attack.AddHours(-8), withoutSecrets: true);
        await WriteAsync(repository, Component.Configuration, s_attack.AddHours(-2), s_attack.AddHours(-2), "shop");

        Assert.Equal(bare, await FindAsync(repository, Component.Configuration, null, s_attack));
        Assert.Contains(_observer.Warnings, warning => warning.Contains($"'{bare}' of the configuration lacks the Secrets", StringComparison.Ordinal));
    }

    private async Task<string?> FindAsync(Repository repository, Component component, string? subject, DateTimeOffset? before) =>
        (await RestoreChoice.FindAsync(s_site, repository, new ExpectedBackup(component, subject), before, _observer, default))?.Id;

    private static Task<Repository> OpenAsync() => Repository.OpenOrCreateAsync(new MemoryObjectStore(), default);

    private static async Task<string> WriteAsync(
        Repository repository, Component component, DateTimeOffset start, DateTimeOffset stop, string scope = "orders", bool withoutSecrets = false)
    {
        await using BackupWriter writer = await repository.BeginBackupAsync(component, "Full", null, "orders", null, null, default);
        return (await writer.CompleteAsync(
            "Full",
            header => header with
            {
                StartTime = start,
                StopTime = stop,
                FileStore = component != Component.FileStore ? null : new FileStoreBackupDetails
                {
                    Name = "files",
                    Path = "/srv/files",
                    RootMode = "755",
                    Root = new FileNode { UserId = 0, GroupId = 0, Modified = default },
                    ScanStart = default,
                    OneFileSystem = false,
                },
                Configuration = component != Component.Configuration ? null : new ConfigurationBackupDetails
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
