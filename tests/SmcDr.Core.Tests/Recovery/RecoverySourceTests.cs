using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>A repository that several sites share, each with a cluster of its own.</summary>
public sealed class RecoverySourceTests : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new();
    private Repository _repository = null!;
    private ulong _billing;

    public async Task InitializeAsync()
    {
        _repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(_directory.Path), default);
        // That of 'billing' is the newest.
        await BackUpAsync("orders");
        _billing = await BackUpAsync("billing");
    }

    public Task DisposeAsync()
    {
        _directory.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Choose_SeveralSitesShareTheRepository_TakesTheSitesOwn()
    {
        RecordingObserver observer = new();

        Assert.Equal("orders", (await ChooseAsync("orders", observer)).Reader.Header.Site);
        Assert.Equal("billing", (await ChooseAsync("billing", observer)).Reader.Header.Site);
        Assert.Empty(observer.Warnings);
        // Without a site nobody knows which is meant.
        Assert.Equal("billing", (await ChooseAsync(null, observer)).Reader.Header.Site);
        Assert.Contains("several database clusters", Assert.Single(observer.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Choose_NoneIsOfTheSite_IsRefusedUnlessItIsNamed()
    {
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => ChooseAsync("stock", new RecordingObserver()));

        Assert.Equal(SmcErrorCode.BackupNotFound, e.Code);
        Assert.Contains("billing, orders", e.Message, StringComparison.Ordinal);
        Assert.Equal("billing", (await RecoverySource.ChooseAsync(Request("stock") with { SystemId = _billing }, null, NullObserver.Instance, default)).Reader.Header.Site);
    }

    private RecoveryRequest Request(string? site) => new() { Repository = _repository, Site = site, DataDirectory = Path.Combine(_directory.Path, "target") };

    private Task<RecoverySource> ChooseAsync(string? site, IOperationObserver observer) =>
        RecoverySource.ChooseAsync(Request(site), null, observer, default);

    private async Task<ulong> BackUpAsync(string site)
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        BackupInfo backup = await BaseBackup.RunAsync(
            server.CreateConnector(), _repository, new BaseBackupOptions { Site = site, NewCluster = true }, NullObserver.Instance, default);
        return ulong.Parse(backup.SystemId!, System.Globalization.CultureInfo.InvariantCulture);
    }
}
