using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.Fixtures;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>Recovery in place: the data directory itself is made right, and no copy of it stays.</summary>
public sealed class RecoveryDeltaTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    [Fact]
    public async Task ExecuteAsync_Delta_RecoversInPlaceToAnEarlierInstant()
    {
        await using RecoveryPlace place = await RecoveredAsync();
        RecoveryRequest request = place.Request(RecoveryTarget.AtTime(world.Timeline[1].Time)) with { Delta = true };

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        Assert.Empty(plan.Moves);
        Assert.Contains(plan.Describe(), static l => l.Contains("no copy of it stays", StringComparison.Ordinal));
        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);

        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + 2), await place.RowsAsync());
        Assert.Null(result.PreviousDataDirectory);
        Assert.Empty(Directory.GetDirectories(place.Root, "*.before-*"));
        // All but the control file and the map of tablespaces, which are written anew in any case.
        Assert.InRange(result.RestoredBytes - result.KeptBytes - result.FetchedBytes, 8192, 9000);
        Assert.True(result.KeptBytes > result.FetchedBytes);
        Assert.True(result.RemovedFileCount > 0);
    }

    [Fact]
    public async Task PlanAsync_Delta_ServerRuns_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();
        await RecoveryPlace.RecoverAsync(place.Request());

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(
            place.Request(RecoveryTarget.AtTime(world.Timeline[1].Time)) with { Delta = true, Force = true }, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.TargetInUse, e.Code);
        Assert.Equal(RecoveryWorld.RowsInBackup + RecoveryWorld.Steps, (await place.RowsAsync()).Length);
    }

    [Fact]
    public async Task PlanAsync_Delta_NoDataDirectory_IsRefusedWhateverIsForced()
    {
        await using RecoveryPlace place = world.NewPlace();
        Directory.CreateDirectory(place.Data);
        TestPrograms.GiveToServer(place.Data);
        await File.WriteAllTextAsync(Path.Combine(place.Data, "precious"), "data");

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(
            place.Request() with { Delta = true, Force = true }, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
        Assert.True(File.Exists(Path.Combine(place.Data, "precious")));
    }

    [Fact]
    public async Task ExecuteAsync_Delta_NothingThereYet_IsAPlainRecovery()
    {
        await using RecoveryPlace place = world.NewPlace();

        RecoveryResult result = await RecoveryPlace.RecoverAsync(place.Request() with { Delta = true });

        Assert.Equal(0, result.KeptBytes);
        Assert.Equal(RecoveryWorld.RowsInBackup + RecoveryWorld.Steps, (await place.RowsAsync()).Length);
    }

    [Theory]
    [InlineData(RecoveryPhase.Fetched)]
    [InlineData(RecoveryPhase.Configured)]
    [InlineData(RecoveryPhase.Moved)]
    [InlineData(RecoveryPhase.Recovered)]
    public async Task ExecuteAsync_DeltaInterruptedAfterAPhase_IsFinishedByTheSecondRun(RecoveryPhase phase)
    {
        await using RecoveryPlace place = await RecoveredAsync();
        RecoveryRequest request = place.Request(RecoveryTarget.AtTime(world.Timeline[3].Time)) with { Delta = true };
        await Assert.ThrowsAsync<InvalidOperationException>(() => RecoveryPlace.RecoverAsync(
            request, p => _ = p == phase ? throw new InvalidOperationException("Interrupted.") : p));

        // What was asked for is not what a run that moves aside would do.
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(
            request with { Delta = false }, NullObserver.Instance, default));
        Assert.Equal(SmcErrorCode.OperationInProgress, e.Code);
        RecoveryResult result = await RecoveryPlace.RecoverAsync(request);

        Assert.True(result.Resumed);
        Assert.True(result.KeptBytes > 0);
        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + 4), await place.RowsAsync());
    }

    /// <summary>A cluster that was recovered to the end of the archive and stopped: production, so to say.</summary>
    private async Task<RecoveryPlace> RecoveredAsync()
    {
        RecoveryPlace place = world.NewPlace();
        await RecoveryPlace.RecoverAsync(place.Request() with { KeepRunning = false });
        return place;
    }
}
