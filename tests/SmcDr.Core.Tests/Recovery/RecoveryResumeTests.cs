using System.Diagnostics;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>Interrupted at whatever moment, a second run of the same command finishes, and the previous directory is never lost.</summary>
public sealed class RecoveryResumeTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    [Theory]
    [InlineData(RecoveryPhase.Fetched, false)]
    [InlineData(RecoveryPhase.Configured, false)]
    [InlineData(RecoveryPhase.Moved, true)]
    [InlineData(RecoveryPhase.Recovered, true)]
    [InlineData(RecoveryPhase.Cleaned, true)]
    public async Task ExecuteAsync_InterruptedAfterAPhase_IsFinishedByTheSecondRun(RecoveryPhase phase, bool moved)
    {
        await using RecoveryPlace place = world.NewPlace();
        string previous = FillPrevious(place);
        RecoveryRequest request = place.Request(RecoveryTarget.AtTime(world.Timeline[3].Time)) with { Force = true };

        await Assert.ThrowsAsync<InvalidOperationException>(() => RecoveryPlace.RecoverAsync(
            request, p => _ = p == phase ? throw new InvalidOperationException("Interrupted.") : p));
        Assert.Equal(moved, !File.Exists(Path.Combine(place.Data, "precious")));
        Assert.False(HostServer.IsRunning(place.Data));
        RecoveryResult result = await RecoveryPlace.RecoverAsync(request);

        Assert.True(result.Resumed);
        Assert.Equal(2, result.Timeline);
        Assert.NotNull(result.RecoveredTime);
        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + 4), await place.RowsAsync());
        Assert.Equal(previous, RecoveryPlace.Fingerprint(result.PreviousDataDirectory!));
        Assert.Single(Directory.GetDirectories(place.Root, "data.before-*"));
    }

    [Fact]
    public async Task ExecuteAsync_InterruptedAfterReplay_StagedWalIsAsItWasFetched()
    {
        await using RecoveryPlace place = world.NewPlace();
        RecoveryRequest request = place.Request();
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        string staging = Path.Combine(place.Data + ".smcdr", RecoveryScripts.StagingName);
        int linked = 0;

        await Assert.ThrowsAsync<InvalidOperationException>(() => RecoveryPlace.RecoverAsync(
            request, p => _ = p == RecoveryPhase.Recovered ? throw new InvalidOperationException("Interrupted.") : p));

        foreach (WalItem item in plan.WalItems)
        {
            string staged = Path.Combine(staging, item.Name.ToString());
            byte[] expected = new byte[item.SegmentSize];
            await plan.Archive.ReadAsync(item, expected, default);
            byte[] actual = await File.ReadAllBytesAsync(staged);
            Assert.True(expected.AsSpan().SequenceEqual(actual), staged);
            FileStatus status = Posix.FindStatus(staged)!.Value;
            string given = Path.Combine(place.Data, "pg_wal", item.Name.ToString());
            linked += Posix.FindStatus(given) is { } other && other.Inode == status.Inode ? 1 : 0;
        }

        // The server has it by a second name, also where it is not ours, and has written to none.
        Assert.NotEqual(0, linked);
    }

    [Fact]
    public async Task ExecuteAsync_InterruptedBetweenTheMoves_IsFinishedByTheSecondRun()
    {
        await using RecoveryPlace place = world.NewPlace();
        string previous = FillPrevious(place);
        RecoveryRequest request = place.Request() with { Force = true };
        await Assert.ThrowsAsync<InvalidOperationException>(() => RecoveryPlace.RecoverAsync(
            request, static p => _ = p == RecoveryPhase.Configured ? throw new InvalidOperationException("Interrupted.") : p));

        // As if the machine had stopped after the second of the renames: the tablespace is in its place, and nothing is where the
        // data directory was.
        string aside = place.Data + ".before-20200101T000000Z";
        using (RecoveryState state = RecoveryState.Open(place.Data, OsAccount.ForServer(place.Data, TestPrograms.OsUser)))
        {
            state.Append(new RecoveryJournalEntry
            {
                Phase = RecoveryPhase.Configured,
                Time = DateTimeOffset.UtcNow,
                Move = new RecoveryMove(place.Data, aside),
            });
        }

        Directory.Move(place.Tablespace + ".smcdr-new", place.Tablespace);
        Directory.Move(place.Data, aside);
        RecoveryResult result = await RecoveryPlace.RecoverAsync(request);

        Assert.Equal(aside, result.PreviousDataDirectory);
        Assert.Equal(previous, RecoveryPlace.Fingerprint(aside));
        Assert.Equal(RecoveryWorld.RowsInBackup + RecoveryWorld.Steps, (await place.RowsAsync()).Length);
    }

    [LinuxFact]
    public void Open_LockFileThatCannotBeOpened_IsOnlyAnotherRecoveryWhereOneHoldsIt()
    {
        using TemporaryDirectory directory = new();
        string data = Path.Combine(directory.Path, "data");
        using (RecoveryState.Open(data, null))
        {
            Assert.Equal(SmcErrorCode.OperationInProgress, Assert.Throws<SmcException>(() => RecoveryState.Open(data, null)).Code);
        }

        // What the system says is told as it is, as of a disk that is full or was mounted read-only.
        string file = Path.Combine(RecoveryState.PathFor(data), "lock");
        File.Delete(file);
        File.CreateSymbolicLink(file, file);
        Assert.ThrowsAny<IOException>(() => RecoveryState.Open(data, null));
    }

    [Fact]
    public async Task ExecuteAsync_ThirdRun_HasNothingToDo_UnlessForced()
    {
        await using RecoveryPlace place = world.NewPlace();
        RecoveryRequest request = place.Request() with { KeepRunning = false };
        RecoveryResult first = await RecoveryPlace.RecoverAsync(request);
        string content = RecoveryPlace.Fingerprint(place.Data);

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        RecoveryResult again = await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);

        Assert.True(plan.IsDone);
        Assert.Equal(first.RecoveredLsn, again.RecoveredLsn);
        Assert.Equal(content, RecoveryPlace.Fingerprint(place.Data));
        RecoveryResult anew = await RecoveryPlace.RecoverAsync(request with { Force = true });
        Assert.False(anew.Resumed);
        Assert.Equal(content, RecoveryPlace.Fingerprint(anew.PreviousDataDirectory!));
    }

    [Fact]
    public async Task PlanAsync_InterruptedToAnotherTarget_IsRefused_AndAbandonedWithForce()
    {
        await using RecoveryPlace place = world.NewPlace();
        await Assert.ThrowsAsync<InvalidOperationException>(() => RecoveryPlace.RecoverAsync(
            place.Request(), static p => _ = p == RecoveryPhase.Fetched ? throw new InvalidOperationException("Interrupted.") : p));
        RecoveryRequest other = place.Request(RecoveryTarget.AtName(world.Timeline[1].Name));

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(other, NullObserver.Instance, default));
        Assert.Equal(SmcErrorCode.OperationInProgress, e.Code);

        RecoveryResult result = await RecoveryPlace.RecoverAsync(other with { Force = true });
        Assert.False(result.Resumed);
        Assert.Equal(RecoveryWorld.RowsInBackup + 2, (await place.RowsAsync()).Length);
    }

    [Fact]
    public async Task ExecuteAsync_WhileAnotherIsAtIt_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(place.Request(), NullObserver.Instance, default);
        using RecoveryState other = RecoveryState.Open(place.Data, plan.Account);

        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.OperationInProgress, e.Code);
        Assert.Contains(Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture), e.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(place.Data));
    }

    [Fact]
    public async Task ExecuteAsync_JournalEndsWithHalfALine_IsContinued()
    {
        await using RecoveryPlace place = world.NewPlace();
        await Assert.ThrowsAsync<InvalidOperationException>(() => RecoveryPlace.RecoverAsync(
            place.Request(), static p => _ = p == RecoveryPhase.Fetched ? throw new InvalidOperationException("Interrupted.") : p));
        await File.AppendAllTextAsync(Path.Combine(place.Data + ".smcdr", "journal"), "{\"phase\":\"Mov");

        Assert.True((await RecoveryPlace.RecoverAsync(place.Request())).Resumed);
    }

    [Theory]
    [InlineData("restoring")]
    [InlineData("replaying")]
    [InlineData("at random")]
    public async Task Recovery_KilledHard_IsFinishedByTheSecondRun(string moment)
    {
        await using RecoveryPlace place = world.NewPlace();
        string previous = FillPrevious(place);
        string site = Path.Combine(place.Root, "smcdr.yaml");
        await File.WriteAllTextAsync(site, $$"""
            name: kill-test
            repository:
              location: file://{{world.RepositoryPath}}
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port=1;Username=postgres"
                  dataDirectory: {{place.Data}}
                  binDirectory: {{TestPrograms.BinDirectory}}

            """);
        string fetched = Path.Combine(RecoveryState.NewDirectoryIn(RecoveryState.PathFor(place.Data)), "base");
        int kills = 0;
        for (int attempt = 0; attempt < (moment == "at random" ? 6 : 1); attempt++)
        {
            using Process child = StartProgram(site, place);
            Stopwatch watch = Stopwatch.StartNew();
            TimeSpan delay = TimeSpan.FromMilliseconds(Random.Shared.Next(500, 6000));
            while (!child.HasExited && !(moment switch
            {
                "restoring" => Directory.Exists(fetched),
                "replaying" => HostServer.IsRunning(place.Data),
                _ => watch.Elapsed > delay,
            }))
            {
                await Task.Delay(5);
            }

            if (!child.HasExited)
            {
                child.Kill();
                kills++;
            }

            await child.WaitForExitAsync();
            // A run that got to its end is followed by another recovery, which moves the recovered directory aside as well.
            Assert.Single(
                (string[])[place.Data, .. Directory.GetDirectories(place.Root, "data.before-*")],
                static directory => File.Exists(Path.Combine(directory, "precious")));
        }

        Assert.True(moment == "at random" || kills == 1, "The program was over before it could be killed.");
        RecoveryRequest request = place.Request() with { Force = true, KeepRunning = false };
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        RecoveryResult result = plan.IsDone
            ? throw new InvalidOperationException("With -Force it is never done.")
            : await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);

        Assert.False(HostServer.IsRunning(place.Data));
        Assert.Contains(
            Directory.GetDirectories(place.Root, "data.before-*"), d => RecoveryPlace.Fingerprint(d) == previous);
        HostServer server = new(plan.Programs!, place.Data, TestPrograms.OsUser);
        await server.StartAsync(request.Settings, null, TimeSpan.FromSeconds(60), default);
        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + RecoveryWorld.Steps), await place.RowsAsync());
        Assert.NotNull(result.RecoveredLsn);
    }

    private static Process StartProgram(string site, RecoveryPlace place)
    {
        ProcessStartInfo start = SmcdrProcess.CreateStart();
        foreach (string argument in new[]
        {
            "restore", "database", "--site", site, "--latest", "--tablespace", $"side={place.Tablespace}", "--force", "--yes", "--no-start",
        })
        {
            start.ArgumentList.Add(argument);
        }

        Process process = Process.Start(start)!;
        process.StandardInput.Close();
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    /// <summary>A data directory that is in the way, and its fingerprint.</summary>
    private static string FillPrevious(RecoveryPlace place)
    {
        Directory.CreateDirectory(Path.Combine(place.Data, "base"));
        TestPrograms.GiveToServer(place.Data);
        File.WriteAllText(Path.Combine(place.Data, "precious"), "data");
        File.WriteAllText(Path.Combine(place.Data, "base", "1"), "more");
        return RecoveryPlace.Fingerprint(place.Data);
    }
}
