using System.Diagnostics;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Retention;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>What is refused before a byte is fetched: by its code, and with nothing changed.</summary>
public sealed class RecoveryPreflightTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    private DatabaseBackupDetails Details => world.Backup.Database!;

    [Fact]
    public async Task Time_BeforeTheBackupsStop_IsOutsideTheWindow_Trap18()
    {
        await using RecoveryPlace place = world.NewPlace();

        // Behind the start and before the stop: a choice by the start would take this backup, and PostgreSQL would fail on it.
        SmcException e = await RefusedAsync(
            place, place.Request(RecoveryTarget.AtTime(Details.StopTime.AddMicroseconds(-1))), SmcErrorCode.TargetOutsideWindow);

        Assert.Contains(Details.StopLsn.ToString(), e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Time_BehindTheArchive_IsNotReached_Trap20()
    {
        await using RecoveryPlace place = world.NewPlace();

        await RefusedAsync(place, place.Request(RecoveryTarget.AtTime(world.LastServerTime.AddHours(1))), SmcErrorCode.TargetNotReached);
    }

    [Fact]
    public async Task Lsn_OutsideTheArchive_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();

        await RefusedAsync(place, place.Request(RecoveryTarget.AtLsn(Details.StartLsn)), SmcErrorCode.TargetOutsideWindow);
        await RefusedAsync(place, place.Request(RecoveryTarget.AtLsn(new Lsn(1UL << 40))), SmcErrorCode.TargetOutsideWindow);
    }

    [Fact]
    public async Task NameAndTransaction_NotInTheArchive_AreRefused()
    {
        await using RecoveryPlace place = world.NewPlace();

        await RefusedAsync(place, place.Request(RecoveryTarget.AtName("nobody made this")), SmcErrorCode.TargetOutsideWindow);
        await RefusedAsync(place, place.Request(RecoveryTarget.AtXid(999_999)), SmcErrorCode.TargetOutsideWindow);
        // It was committed before the base backup.
        await RefusedAsync(place, place.Request(RecoveryTarget.AtXid(world.Timeline[0].Xid - 1)), SmcErrorCode.TargetOutsideWindow);
    }

    [OrdinaryUserFact]
    public async Task DataDirectory_OfAnotherAccountAndClosed_IsRefusedByItsOwner()
    {
        RecoveryRequest request = new() { Repository = world.Repository, DataDirectory = "/root" };

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
        Assert.Contains("belongs to another account", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Timeline_NotInTheArchive_IsRefused_Trap17()
    {
        await using RecoveryPlace place = world.NewPlace();

        await RefusedAsync(place, place.Request(RecoveryTarget.Latest with { Timeline = 9 }), SmcErrorCode.TimelineMismatch);
    }

    [Fact]
    public async Task Gap_NamesTheFirstMissingSegment_AndStopsOnlyTargetsBehindIt()
    {
        await using RecoveryPlace place = world.NewPlace();
        WalSegmentName missing = WalSegmentName.Containing(world.Timeline[2].Lsn, 1, RecoveryWorld.SegmentSize);
        Repository repository = await place.CopyRepositoryAsync(key => key.Contains(missing.ToString(), StringComparison.Ordinal));

        foreach (RecoveryTarget target in new[]
        {
            RecoveryTarget.Latest, RecoveryTarget.AtTime(world.Timeline[4].Time), RecoveryTarget.AtLsn(world.Timeline[4].Lsn),
            RecoveryTarget.AtName(world.Timeline[4].Name), RecoveryTarget.AtXid(world.Timeline[4].Xid),
        })
        {
            SmcException e = await RefusedAsync(place, place.Request(target) with { Repository = repository }, SmcErrorCode.WalGap);
            Assert.Equal(missing.ToString(), e.Target);
        }

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            place.Request(RecoveryTarget.AtTime(world.Timeline[0].Time)) with { Repository = repository }, NullObserver.Instance, default);
        Assert.Contains(plan.Warnings, w => w.Contains(missing.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Time_OfTheLastTransactionBeforeAGap_IsReached_BecauseTheWindowPromisesIt()
    {
        await using RecoveryPlace place = world.NewPlace();
        WalSegmentName missing = WalSegmentName.Containing(world.Timeline[2].Lsn, 1, RecoveryWorld.SegmentSize);
        Repository repository = await place.CopyRepositoryAsync(key => key.Contains(missing.ToString(), StringComparison.Ordinal));
        DateTimeOffset latest = default;
        await foreach (RecoveryWindow window in WalWindows.ListAsync(repository, default))
        {
            Assert.NotNull(window.Gap);
            latest = window.LatestTime!.Value;
        }

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            place.Request(RecoveryTarget.AtTime(latest)) with { Repository = repository }, NullObserver.Instance, default);
        Assert.Null(plan.StopAt);
        await RefusedAsync(
            place, place.Request(RecoveryTarget.AtTime(latest.AddMilliseconds(1))) with { Repository = repository }, SmcErrorCode.WalGap);
    }

    [Fact]
    public async Task WalUpToTheBackupsStop_Missing_IsAGap()
    {
        await using RecoveryPlace place = world.NewPlace();
        Repository repository = await place.CopyRepositoryAsync(static key => key.StartsWith("wal/", StringComparison.Ordinal));

        await RefusedAsync(place, place.Request(RecoveryTarget.Immediate) with { Repository = repository }, SmcErrorCode.WalGap);
    }

    [Fact]
    public async Task Pack_Missing_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();
        Repository repository = await place.CopyRepositoryAsync(static key => key.Contains("/pack-", StringComparison.Ordinal));

        await RefusedAsync(place, place.Request() with { Repository = repository }, SmcErrorCode.ObjectNotFound);
    }

    [Fact]
    public async Task Backup_WithoutMarker_IsNeitherChosenNorTaken()
    {
        await using RecoveryPlace place = world.NewPlace();
        Repository repository = await place.CopyRepositoryAsync(static key => key.EndsWith("/complete", StringComparison.Ordinal));

        await RefusedAsync(place, place.Request() with { Repository = repository }, SmcErrorCode.BackupNotFound);
        await RefusedAsync(
            place, place.Request() with { Repository = repository, BackupId = world.BackupId }, SmcErrorCode.BackupIncomplete);
    }

    [Fact]
    public async Task Backup_LogicalOne_TakesNoWal_Trap1()
    {
        await using RecoveryPlace place = world.NewPlace();
        Repository repository = await place.CopyRepositoryAsync(static _ => false);
        string dump = await RetentionWorld.WriteLogicalAsync(repository, DateTimeOffset.UtcNow, systemId: world.Archive.SystemId);

        await RefusedAsync(place, place.Request() with { Repository = repository, BackupId = dump }, SmcErrorCode.BackupUnsuitable);
        // It is the newest, and is not taken for a base either.
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(place.Request() with { Repository = repository }, NullObserver.Instance, default);
        Assert.Equal(world.BackupId, plan.Backup.Id);
    }

    [Fact]
    public async Task PlanAsync_SettingsOfThePrimary_AreTheLeastThatReplayRunsWith_Trap21()
    {
        await using RecoveryPlace place = world.NewPlace();

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(place.Request(), NullObserver.Instance, default);

        Assert.Equal(57, plan.MinimumSettings["max_connections"]);
        Assert.Equal(
            ["max_connections", "max_locks_per_transaction", "max_prepared_transactions", "max_wal_senders", "max_worker_processes"],
            plan.MinimumSettings.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Programs_OfAnotherMajor_AreRefused_Trap35()
    {
        await using RecoveryPlace place = world.NewPlace();
        string bin = Directory.CreateDirectory(Path.Combine(place.Root, "bin")).FullName;
        foreach (string program in new[] { "postgres", "pg_ctl" })
        {
            string path = Path.Combine(bin, program);
            await File.WriteAllTextAsync(path, "#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        SmcException e = await RefusedAsync(place, place.Request() with { BinDirectory = bin }, SmcErrorCode.ProgramNotFound);
        Assert.Contains("99.1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Target_NotEmpty_IsRefusedWithoutForce_AndPlannedToMoveWithIt()
    {
        await using RecoveryPlace place = world.NewPlace();
        Directory.CreateDirectory(place.Data);
        await File.WriteAllTextAsync(Path.Combine(place.Data, "precious"), "data");

        await RefusedAsync(place, place.Request(), SmcErrorCode.TargetNotEmpty);
        string before = RecoveryPlace.Fingerprint(place.Root);
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(place.Request() with { Force = true }, NullObserver.Instance, default);

        Assert.Equal(place.Data, Assert.Single(plan.Moves).Path);
        Assert.Equal(before, RecoveryPlace.Fingerprint(place.Root));
        Assert.Contains(plan.Describe(), l => l.Contains(plan.Moves[0].Destination, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Target_WithARunningServer_IsRefused_EvenWithForce()
    {
        await using RecoveryPlace place = world.NewPlace();
        SmcDr.Core.Recovery.PostgresPrograms programs =
            await SmcDr.Core.Recovery.PostgresPrograms.FindAsync(TestPrograms.BinDirectory, null, default);
        HostServer server = new(programs, place.Data, TestPrograms.OsUser);
        await server.InitializeAsync(new InitializeOptions { Sync = false, Authentication = "trust" }, default);
        await server.StartAsync(
            new Dictionary<string, string> { ["listen_addresses"] = "", ["unix_socket_directories"] = place.Root }, null, TimeSpan.FromSeconds(60), default);

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(
            place.Request() with { Force = true }, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.TargetInUse, e.Code);
        Assert.True(HostServer.IsRunning(place.Data));
        Assert.False(Directory.Exists(place.Data + ".smcdr"));
    }

    [Fact]
    public async Task Target_LinkOrFileOrRoot_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();
        string real = Directory.CreateDirectory(Path.Combine(place.Root, "real")).FullName;
        string link = Path.Combine(place.Root, "link");
        Directory.CreateSymbolicLink(link, real);
        string file = Path.Combine(place.Root, "file");
        await File.WriteAllTextAsync(file, "");

        foreach (string path in new[] { link, file, "/", Path.Combine(place.Root, "a$b") })
        {
            await RefusedAsync(place, place.Request() with { DataDirectory = path }, SmcErrorCode.TargetUnsuitable);
        }
    }

    [Fact]
    public async Task Repository_InsideTheDirectoryToBeMovedAside_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();

        await RefusedAsync(place, place.Request() with { DataDirectory = world.RepositoryPath, Force = true }, SmcErrorCode.TargetUnsuitable);
    }

    [RootFact]
    public async Task Account_ThatDoesNotExist_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();

        await RefusedAsync(place, place.Request() with { OsUser = "nobody-has-this-name" }, SmcErrorCode.TargetUnsuitable);
        await RefusedAsync(place, place.Request() with { OsUser = "root" }, SmcErrorCode.TargetUnsuitable);
    }

    [Fact]
    public async Task Tablespace_PlaceThatCannotBe_IsRefused_Trap12()
    {
        await using RecoveryPlace place = world.NewPlace();
        RecoveryRequest request = place.Request();
        Directory.CreateDirectory(place.Tablespace);
        await File.WriteAllTextAsync(Path.Combine(place.Tablespace, "precious"), "data");

        await RefusedAsync(place, request, SmcErrorCode.TargetNotEmpty);
        await RefusedAsync(
            place, request with { Tablespaces = new Dictionary<string, string> { ["side"] = place.Data + "/in" } }, SmcErrorCode.TargetUnsuitable);
        await RefusedAsync(
            place, request with { Tablespaces = new Dictionary<string, string> { ["other"] = place.Tablespace } }, SmcErrorCode.ArgumentInvalid);
    }

    [RootFact]
    public async Task Disk_TooSmall_IsRefused_AndAMountPointAsWell()
    {
        await using RecoveryPlace place = world.NewPlace();
        string disk = Directory.CreateDirectory(Path.Combine(place.Root, "disk")).FullName;
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk);
        try
        {
            SmcException e = await RefusedAsync(
                place, place.Request() with { DataDirectory = Path.Combine(disk, "data") }, SmcErrorCode.DiskSpaceInsufficient);
            Assert.Contains("8 MiB", e.Message, StringComparison.Ordinal);
            await RefusedAsync(place, place.Request() with { DataDirectory = disk }, SmcErrorCode.TargetUnsuitable);
        }
        finally
        {
            await RunAsync("umount", disk);
        }
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private static async Task<SmcException> RefusedAsync(RecoveryPlace place, RecoveryRequest request, SmcErrorCode code)
    {
        string before = RecoveryPlace.Fingerprint(place.Root);

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default));

        Assert.Equal(code, e.Code);
        Assert.Equal(before, RecoveryPlace.Fingerprint(place.Root));
        return e;
    }
}
