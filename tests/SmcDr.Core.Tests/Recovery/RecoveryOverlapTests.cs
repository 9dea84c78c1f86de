using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>The server replays while WAL is still being fetched, and nothing that goes wrong meanwhile lets it promote too early.</summary>
public sealed class RecoveryOverlapTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    [Fact]
    public async Task ExecuteAsync_LastSegmentComesAfterTheServerStarted_IsReplayedToo_Trap25()
    {
        await using RecoveryPlace place = world.NewPlace();
        // Were all WAL fetched before the server starts, the hook would wait in vain and fail the test.
        Repository repository = await OpenAsync(() => UntilRunningAsync(place));
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            place.Request() with { Repository = repository }, NullObserver.Instance, default);

        _armed = true;
        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);

        Assert.True(_met);
        Assert.Equal(2, result.Timeline);
        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + RecoveryWorld.Steps), await place.RowsAsync());
    }

    [Fact]
    public async Task ExecuteAsync_FetchingFailsDuringReplay_NeverPromotes_AndTheSecondRunFinishes_Trap25()
    {
        await using RecoveryPlace place = world.NewPlace();
        Directory.CreateDirectory(place.Data);
        TestPrograms.GiveToServer(place.Data);
        await File.WriteAllTextAsync(Path.Combine(place.Data, "precious"), "data");
        Repository repository = await OpenAsync(async () =>
        {
            await UntilRunningAsync(place);
            throw new SmcException(SmcErrorCode.StorageUnavailable, "The storage has gone away.");
        });
        RecoveryRequest request = place.Request() with { Repository = repository, Force = true };
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);

        _armed = true;
        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.StorageUnavailable, e.Code);
        Assert.False(HostServer.IsRunning(place.Data));
        Assert.False(File.Exists(Path.Combine(place.Data, "pg_wal", "00000002.history")));
        Assert.True(File.Exists(Path.Combine(Assert.Single(Directory.GetDirectories(place.Root, "data.before-*")), "precious")));

        RecoveryResult result = await RecoveryPlace.RecoverAsync(request with { Repository = world.Repository });
        Assert.True(result.Resumed);
        Assert.Equal(2, result.Timeline);
        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + RecoveryWorld.Steps), await place.RowsAsync());
        Assert.Single(Directory.GetDirectories(place.Root, "data.before-*"));
    }

    [Fact]
    public async Task ExecuteAsync_FetchingFailsBeforeTheServerStarts_LeavesThePreviousDirectoryInItsPlace()
    {
        await using RecoveryPlace place = world.NewPlace();
        Directory.CreateDirectory(place.Data);
        TestPrograms.GiveToServer(place.Data);
        await File.WriteAllTextAsync(Path.Combine(place.Data, "precious"), "data");
        Repository repository = await OpenAsync(
            static () => throw new SmcException(SmcErrorCode.StorageUnavailable, "The storage has gone away."), first: true);
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            place.Request() with { Repository = repository, Force = true }, NullObserver.Instance, default);

        _armed = true;
        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.StorageUnavailable, e.Code);
        Assert.True(File.Exists(Path.Combine(place.Data, "precious")));
    }

    private volatile bool _armed;
    private volatile bool _met;

    /// <summary>The world's repository, where something happens first when the first or the last segment is read.</summary>
    private async Task<Repository> OpenAsync(Func<Task> before, bool first = false)
    {
        string prefix = RepositoryKeys.Wal(world.Archive.SystemId);
        List<string> segments = [];
        await foreach (ObjectInfo info in world.Repository.Store.ListAsync(prefix, default))
        {
            string name = Path.GetFileName(info.Key).Split('.', '-')[0];
            if (WalSegmentName.TryParse(name, out WalSegmentName segment) && segment.EndLsn(RecoveryWorld.SegmentSize) > world.Backup.Database!.StartLsn)
            {
                segments.Add(info.Key);
            }
        }

        segments.Sort(StringComparer.Ordinal);
        Assert.True(segments.Count > 3, $"The world holds only {string.Join(' ', segments)}.");
        string held = first ? segments[0] : segments[^1];
        return await Repository.OpenAsync(
            new HookedObjectStore(
                new DirectoryObjectStore(world.RepositoryPath),
                async (operation, key) =>
                {
                    if (_armed && operation == "read" && key == held)
                    {
                        _met = true;
                        await before();
                    }
                }),
            default);
    }

    private static async Task UntilRunningAsync(RecoveryPlace place)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!HostServer.IsRunning(place.Data))
        {
            await Task.Delay(10, limit.Token);
        }
    }
}
