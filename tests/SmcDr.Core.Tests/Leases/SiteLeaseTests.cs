using System.Diagnostics;
using System.Text.Json;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Leases;

/// <summary>What a lease does beyond a claim, whose tests on real stores are those of the WAL stream's.</summary>
public sealed class SiteLeaseTests : IAsyncLifetime
{
    private static readonly TimeSpan s_never = TimeSpan.FromHours(1);
    private readonly MemoryObjectStore _store = new();
    private readonly RecordingObserver _observer = new();
    private Repository _repository = null!;

    public async Task InitializeAsync() => _repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task TakeAsync_AnotherOperationHasIt_SaysWhoWhereSinceWhenAndWhat()
    {
        await using SiteLease lease = await TakeAsync();
        SmcException error = await SmcErrorCode.OperationInProgress.ThrowsAsync(() => TakeAsync(operation: "Start-SmcRegionFailover"));

        Assert.Contains("Restore-SmcSystem", error.Message, StringComparison.Ordinal);
        Assert.Contains(Environment.UserName, error.Message, StringComparison.Ordinal);
        Assert.Contains(Environment.MachineName, error.Message, StringComparison.Ordinal);
        Assert.Contains($"process {Environment.ProcessId}", error.Message, StringComparison.Ordinal);
        Assert.Contains("since 20", error.Message, StringComparison.Ordinal);
        Assert.Contains("--break-lease", error.Recommendation, StringComparison.Ordinal);
        await lease.CheckAsync(CancellationToken.None);
    }

    [Fact]
    public async Task TakeAsync_OtherSiteOfTheSameRepository_IsFree()
    {
        await using SiteLease lease = await TakeAsync();
        await using SiteLease other = await TakeAsync(site: "payments");
        Assert.Single(await SiteLease.ListHoldersAsync(_repository, "orders", CancellationToken.None));
        Assert.Single(await SiteLease.ListHoldersAsync(_repository, "payments", CancellationToken.None));
    }

    [Fact]
    public async Task TakeAsync_Break_TakesItKnowinglyAndTheOtherStops()
    {
        await using SiteLease broken = await TakeAsync();
        await using SiteLease lease = await TakeAsync(options: Options with { Break = true });

        Assert.Contains(_observer.Warnings, static warning => warning.Contains("is broken", StringComparison.Ordinal));
        await SmcErrorCode.LeaseLost.ThrowsAsync(() => broken.CheckAsync(CancellationToken.None));
        Assert.True(broken.Lost.IsCancellationRequested);
        await lease.CheckAsync(CancellationToken.None);
    }

    [Fact]
    public async Task TakeAsync_HolderWasKilled_IsFreeAtOnceOnItsHost()
    {
        LeaseHolder dead = LeaseHolder.Create("Restore-SmcSystem", null, s_never) with { ProcessStart = "1" };
        await Repository.PutDocumentAsync(
            _store, "leases/orders/20260101T000000Z-0000000000000000/0000000003", dead, LeaseJson.Default.LeaseHolder, CancellationToken.None);
        await using SiteLease lease = await TakeAsync();
        Assert.True(lease.ReplacedAnother);
    }

    [Fact]
    public async Task Lost_StoreIsAwayForLongerThanThePatience_StopsTheHolderBeforeOthersMayComeIn()
    {
        bool isAway = false;
        _store.BeforePut = (_, _) => Volatile.Read(ref isAway)
            ? throw new SmcException(SmcErrorCode.StorageUnavailable, "Away.")
            : Task.CompletedTask;
        await using SiteLease lease = await TakeAsync(options: Options with
        {
            Interval = TimeSpan.FromMilliseconds(20),
            Patience = TimeSpan.FromMilliseconds(200),
        });
        Volatile.Write(ref isAway, true);
        await CancelledAsync(lease.Lost);
        SmcException error = Assert.Throws<SmcException>(lease.ThrowIfLost);
        Assert.Equal(SmcErrorCode.LeaseLost, error.Code);
        Assert.Contains("could not be renewed", error.Message, StringComparison.Ordinal);

        // What comes back later does not bring it back.
        Volatile.Write(ref isAway, false);
        await SmcErrorCode.LeaseLost.ThrowsAsync(() => lease.CheckAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Lost_RenewalHangs_StopsTheHolderAllTheSame()
    {
        TaskCompletionSource hangs = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int puts = 0;
        _store.BeforePut = (_, token) => Interlocked.Increment(ref puts) > 2 ? hangs.Task.WaitAsync(token) : Task.CompletedTask;
        await using SiteLease lease = await TakeAsync(options: Options with
        {
            Interval = TimeSpan.FromMilliseconds(20),
            Patience = TimeSpan.FromMilliseconds(200),
        });
        await CancelledAsync(lease.Lost);
        Assert.Equal(SmcErrorCode.LeaseLost, Assert.Throws<SmcException>(lease.ThrowIfLost).Code);
    }

    [Fact]
    public async Task Lost_RenewedInTime_DoesNotHappen()
    {
        int renewals = 0;
        _store.BeforePut = (_, _) =>
        {
            Interlocked.Increment(ref renewals);
            return Task.CompletedTask;
        };
        await using SiteLease lease = await TakeAsync(options: Options with
        {
            Interval = TimeSpan.FromMilliseconds(5),
            Patience = TimeSpan.FromSeconds(30),
        });
        await UntilAsync(() => Volatile.Read(ref renewals) > 20);
        Assert.False(lease.Lost.IsCancellationRequested);
        await lease.CheckAsync(CancellationToken.None);
    }

    [Fact]
    public async Task TakeAsync_LeaseThatCannotBeRead_CountsUntilItHasExpired()
    {
        await _store.PutAsync("leases/orders/20260101T000000Z-0000000000000000/0000000003", "damaged"u8.ToArray(), CancellationToken.None);
        SmcException error = await SmcErrorCode.OperationInProgress.ThrowsAsync(() => TakeAsync());
        Assert.Contains("unknown", error.Message, StringComparison.Ordinal);
        await using SiteLease lease = await TakeAsync(options: Options with { Break = true });
        await lease.CheckAsync(CancellationToken.None);
    }

    [Fact]
    public void LeaseHolder_WrittenAndRead_IsTheSame()
    {
        LeaseHolder holder = LeaseHolder.Create("Restore-SmcSystem", "20261122T081500Z-restore-system", TimeSpan.FromSeconds(90));
        string json = JsonSerializer.Serialize(holder, LeaseJson.Default.LeaseHolder);
        Assert.Equal(holder, JsonSerializer.Deserialize(json, LeaseJson.Default.LeaseHolder));
        Assert.True(holder.IsThisProcess());
        Assert.False(holder.IsSurelyDead());
    }

    [LinuxFact]
    public async Task IsSurelyDead_ProcessThatTheHostHides_IsNotTakenForDead()
    {
        using TemporaryDirectory hidden = new();
        LeaseHolder alive = LeaseHolder.Create("Restore-SmcSystem", "20261122T081500Z-restore-system", TimeSpan.FromSeconds(90));
        Assert.False(alive.IsSurelyDead(hidden.Path));

        using Process process = Process.Start("true");
        await process.WaitForExitAsync();
        Assert.True((alive with { ProcessId = process.Id }).IsSurelyDead(hidden.Path));
        Assert.True((alive with { ProcessStart = "0" }).IsSurelyDead());
    }

    private static SiteLeaseOptions Options { get; } = new() { Interval = s_never, Patience = s_never, Expiry = s_never };

    private static Task CancelledAsync(CancellationToken token) => UntilAsync(() => token.IsCancellationRequested);

    private static async Task UntilAsync(Func<bool> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!condition())
        {
            await Task.Delay(5, limit.Token);
        }
    }

    private Task<SiteLease> TakeAsync(string site = "orders", string operation = "Restore-SmcSystem", SiteLeaseOptions? options = null) =>
        SiteLease.TakeAsync(_repository, site, operation, null, options ?? Options, _observer, CancellationToken.None);
}
