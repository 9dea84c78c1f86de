using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>Recovery to every kind of target, with the content compared.</summary>
public sealed class DatabaseRecoveryTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    [Theory]
    [InlineData(RecoveryTargetKind.Latest, 0, true, RecoveryWorld.Steps)]
    [InlineData(RecoveryTargetKind.Immediate, 0, true, 0)]
    [InlineData(RecoveryTargetKind.Time, 3, true, 3)]
    [InlineData(RecoveryTargetKind.Time, 4, false, 4)]
    [InlineData(RecoveryTargetKind.Lsn, 2, true, 2)]
    [InlineData(RecoveryTargetKind.Lsn, 3, false, 3)]
    [InlineData(RecoveryTargetKind.Xid, 5, true, 5)]
    [InlineData(RecoveryTargetKind.Xid, 5, false, 4)]
    [InlineData(RecoveryTargetKind.Name, 1, true, 1)]
    public async Task ExecuteAsync_Target_BringsExactlyWhatWasCommittedThen(
        RecoveryTargetKind kind, int step, bool inclusive, int expected)
    {
        await using RecoveryPlace place = world.NewPlace();
        RecoveryTarget target = Target(kind, step) with { Inclusive = inclusive };
        string archived = await File.ReadAllTextAsync(world.ArchivedMarker);

        RecoveryResult result = await RecoveryPlace.RecoverAsync(place.Request(target));

        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + expected), await place.RowsAsync());
        Assert.Equal(world.BackupId, result.BackupId);
        Assert.Equal(kind.ToString(), result.TargetKind);
        Assert.Equal(2, result.Timeline);
        Assert.True(result.ServerRunning);
        Assert.False(result.Resumed);
        Assert.InRange(Lsn.Parse(result.RecoveredLsn!).Value, world.Backup.Database!.StopLsn.Value, ulong.MaxValue);
        if (expected > 0)
        {
            Assert.InRange(
                result.RecoveredTime!.Value,
                expected == 1 ? world.Backup.Database.StopTime : world.Timeline[expected - 2].Time,
                world.Timeline[expected - 1].Time);
        }

        // Fact 3 and trap 42: a recovery archives nothing, runs nothing of the old configuration, reaches nobody.
        Assert.Equal(archived, await File.ReadAllTextAsync(world.ArchivedMarker));
        Assert.Empty(Directory.GetFiles(Path.Combine(place.Data, "pg_wal", "archive_status"), "*.ready"));
        Assert.False(File.Exists(Path.Combine(world.Root, "recovery-end-command-ran")));

        // Nothing of the recovery stays in the configuration, and what was left over does not come back.
        Assert.Equal("", await place.SettingAsync("recovery_target_xid"));
        Assert.Equal("", await place.SettingAsync("restore_command"));
        Assert.Equal("", await place.SettingAsync("recovery_target_lsn"));
        Assert.Equal("57", await place.SettingAsync("max_connections"));
        Assert.False(Directory.Exists(Path.Combine(place.Data + ".smcdr", "wal")));
    }

    [Fact]
    public async Task ExecuteAsync_TimeBehindTheLastCommit_RecoversAllAndSaysSo_Trap20()
    {
        await using RecoveryPlace place = world.NewPlace();
        RecoveryRequest request = place.Request(RecoveryTarget.AtTime(world.LastServerTime));

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        Assert.Null(plan.StopAt);
        Assert.Contains(plan.Describe(), static l => l.Contains("the state is the same", StringComparison.Ordinal));

        await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);
        Assert.Equal(RecoveryWorld.RowsInBackup + RecoveryWorld.Steps, (await place.RowsAsync()).Length);
    }

    [Fact]
    public async Task ExecuteAsync_NotKeptRunning_LeavesACleanCluster()
    {
        await using RecoveryPlace place = world.NewPlace();

        RecoveryResult result = await RecoveryPlace.RecoverAsync(place.Request() with { KeepRunning = false });

        Assert.False(result.ServerRunning);
        Assert.False(HostServer.IsRunning(place.Data));
        Assert.False(File.Exists(Path.Combine(place.Data, "recovery.signal")));
        Assert.DoesNotContain("SmcDr recovery: begin", await File.ReadAllTextAsync(Path.Combine(place.Data, "postgresql.auto.conf")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ExecuteAsync_PathsAndMemoryOfTheBackupsHost_StandInNoRecoverysWayAndStayConfigured_Trap22()
    {
        await using RecoveryPlace place = world.NewPlace();

        RecoveryResult result = await RecoveryPlace.RecoverAsync(place.Request() with { KeepRunning = false, Settings = new Dictionary<string, string>() });

        Assert.Equal(2, result.Timeline);
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(place.Data, "postgresql.auto.conf"));
        Assert.All(RecoveryWorld.HostSettings, setting => Assert.Contains(
            lines,
            line => line.Contains(setting.Key + " = ", StringComparison.Ordinal) && line.Contains(setting.Value, StringComparison.Ordinal) &&
                (line[0] != '#' || line.Contains("Commented out by SmcDr", StringComparison.Ordinal))));

        // Bytes that are no UTF-8 are as they were.
        Assert.Contains(
            RecoveryWorld.LatinLine, await File.ReadAllLinesAsync(Path.Combine(place.Data, "postgresql.auto.conf"), System.Text.Encoding.Latin1));

        // With what the operator says of this host the server starts, and takes the access files that are there.
        await using RecoveryPlace second = world.NewPlace();
        Assert.True((await RecoveryPlace.RecoverAsync(second.Request())).ServerRunning);
        Assert.Equal(Path.Combine(second.Data, "pg_hba.conf"), await second.SettingAsync("hba_file"));
    }

    [Fact]
    public async Task ExecuteAsync_TwiceFromTheSameArchive_TheSecondTakesAnUnusedTimeline_Trap24()
    {
        // The first recovery's timeline gets into the archive; the second one must not write WAL by the same names.
        await using RecoveryPlace place = world.NewPlace();
        await using RecoveryPlace second = world.NewPlace();
        await RecoveryPlace.RecoverAsync(place.Request(RecoveryTarget.AtName(world.Timeline[2].Name)));
        SmcDr.Core.Postgres.Wal.WalArchive archive = new(world.Repository, world.Archive.SystemId);
        await archive.PutHistoryAsync(
            2, await File.ReadAllBytesAsync(Path.Combine(place.Data, "pg_wal", "00000002.history")), default);
        try
        {
            RecoveryResult result = await RecoveryPlace.RecoverAsync(second.Request(RecoveryTarget.AtName(world.Timeline[0].Name)));

            Assert.Equal(3, result.Timeline);
            Assert.Equal(RecoveryWorld.RowsInBackup + 1, (await second.RowsAsync()).Length);
            // Its ancestor is the timeline on which it stopped, and not the one that the first recovery began.
            string history = await File.ReadAllTextAsync(Path.Combine(second.Data, "pg_wal", "00000003.history"));
            Assert.StartsWith("1\t", Assert.Single(history.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
        }
        finally
        {
            await world.Repository.Store.DeleteAsync(
                SmcDr.Core.Postgres.Wal.WalKey.History(2).ToKey(world.Archive.SystemId), default);
        }
    }

    private RecoveryTarget Target(RecoveryTargetKind kind, int step) => kind switch
    {
        RecoveryTargetKind.Latest => RecoveryTarget.Latest,
        RecoveryTargetKind.Immediate => RecoveryTarget.Immediate,
        RecoveryTargetKind.Time => RecoveryTarget.AtTime(world.Timeline[step - 1].Time),
        RecoveryTargetKind.Lsn => RecoveryTarget.AtLsn(world.Timeline[step - 1].Lsn),
        RecoveryTargetKind.Xid => RecoveryTarget.AtXid(world.Timeline[step - 1].Xid),
        _ => RecoveryTarget.AtName(world.Timeline[step - 1].Name),
    };
}
