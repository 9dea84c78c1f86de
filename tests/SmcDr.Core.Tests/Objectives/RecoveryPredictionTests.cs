using SmcDr.Core.Objectives;

namespace SmcDr.Core.Tests.Objectives;

public sealed class RecoveryPredictionTests
{
    [Fact]
    public void Predict_NothingMeasured_IsNotKnown() => Assert.Null(RecoveryPrediction.Predict([], 1 << 30, 0));

    [Fact]
    public void Predict_DatabaseTwiceAsLargeWithThriceTheWal_ScalesEachPart() =>
        Assert.Equal((40 * 2) + (30 * 3) + 30, RecoveryPrediction.Predict([Measured(100, 1 << 30, 40, 1 << 20, 30)], 2L << 30, 3 << 20));

    [Fact]
    public void Predict_WithoutWalNow_LeavesReplayOut() =>
        Assert.Equal(40 + 30, RecoveryPrediction.Predict([Measured(100, 1 << 30, 40, 1 << 20, 30)], 1 << 30, 0));

    [Fact]
    public void Predict_ReplayBesideTheRestore_IsNeverLongerThanTheWhole() =>
        Assert.Equal(50, RecoveryPrediction.Predict([Measured(50, 1 << 30, 45, 1 << 20, 45)], 1 << 30, 1 << 20));

    [Fact]
    public void Predict_SizeNotKnown_IsAsItWas() => Assert.Equal(50, RecoveryPrediction.Predict([Measured(50, 1 << 30, 45, null, null)], null, null));

    [Fact]
    public void Predict_TinyRestore_GivesNoRate() => Assert.Equal(2, RecoveryPrediction.Predict([Measured(2, 10, null, null, null)], 1L << 40, null));

    [Fact]
    public void Predict_Several_IsTheMedian() => Assert.Equal(
        25, RecoveryPrediction.Predict([Measured(10, 0, null, null, null), Measured(900, 0, null, null, null), Measured(20, 0, null, null, null), Measured(30, 0, null, null, null)], null, null));

    private static RecoveryMeasurement Measured(double seconds, long size, double? restore, long? wal, double? replay) => new()
    {
        RepositoryId = Guid.Empty,
        Site = "orders",
        Component = Component.Database,
        BackupId = "20261122T081500Z-full",
        Way = "Host",
        StartTime = DateTimeOffset.UnixEpoch,
        Seconds = seconds,
        SizeBytes = size,
        RestoreSeconds = restore,
        WalBytes = wal,
        ReplaySeconds = replay,
        Host = "h",
        Tool = "t",
    };
}
