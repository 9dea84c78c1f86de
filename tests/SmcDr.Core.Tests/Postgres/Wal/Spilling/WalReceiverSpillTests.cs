using System.Collections.Concurrent;
using System.Text;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal.Spilling;

/// <summary>Streams of a real server whose repository is full or away.</summary>
public sealed class WalReceiverSpillTests : SpillLab
{
    private readonly ConcurrentQueue<string> _puts = new();
    private Func<string, string, bool>? _fails;
    private SmcErrorCode _failure = SmcErrorCode.StorageFull;
    private string? _recommendation;

    protected override Task<IObjectStore> OpenStoreAsync() => Task.FromResult<IObjectStore>(
        new HookedObjectStore(new DirectoryObjectStore(Path.Combine(LabDirectory, "repository")), (operation, key) =>
        {
            if (Volatile.Read(ref _fails) is { } fails && fails(operation, key))
            {
                throw new SmcException(_failure, $"The repository is away ({operation}).", recommendation: _recommendation);
            }

            if (operation == "put" && IsWal(key))
            {
                _puts.Enqueue(key);
            }

            return Task.CompletedTask;
        }));

    [Fact]
    public async Task RunAsync_RepositoryFull_SpillsSoThatTheSlotAdvancesAndBringsAllInOrder()
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        string[] before = await KeysAsync(Repository);
        Fail(Full);
        await InsertAsync(30);
        Lsn end = await CurrentLsnAsync();
        await UntilSlotAsync(end);
        await stream.UntilAsync(status =>
            status.State == "Spilling" && status.SpilledBytes > 0 && status.SpillingSince is not null && status.SpillDirectory == Spill);
        Assert.True(stream.Receiver.FlushedLsn < end);
        Assert.True(Lsn.Parse(stream.Receiver.Status.FlushedLsn!) < end);
        Assert.Contains("this host only", stream.Receiver.Status.Message, StringComparison.Ordinal);
        // Nothing came behind the hole, and nothing was taken away that only this host could replace.
        Assert.Equal(before, await KeysAsync(Repository));
        AssertModes();

        string[] spilled = SpilledNames();
        Assert.True(spilled.Length > 2);
        _puts.Clear();
        Fail(null);
        await stream.FlushedAsync(end);
        // Pieces may have been replaced by their segment meanwhile; what was brought came in the order of the spill.
        string[] brought = [.. _puts.Select(static key => key[(key.LastIndexOf('/') + 1)..]).Where(spilled.Contains)];
        Assert.Equal(spilled.Where(brought.Contains), brought);
        Assert.All(spilled.Where(static name => name.Length == WalSegmentName.Length), name => Assert.Contains(name, brought));
        await stream.UntilAsync(status => status.State == "Streaming" && status.SpilledBytes == 0 && Lsn.Parse(status.FlushedLsn!) >= end);
        Assert.Empty(SpilledNames());
        Assert.Equal(2, stream.Warnings.Count);
        Assert.Contains("on this host only until", stream.Warnings.First(), StringComparison.Ordinal);
        Assert.Contains("at once again", stream.Warnings.Last(), StringComparison.Ordinal);

        // Directly again.
        await InsertAsync(12);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Assert.Equal(2, stream.Warnings.Count);
        await stream.StopAsync();
        await AssertCompleteAsync(end);
        AssertNoPiecesOfWholeSegments(await KeysAsync(Repository));
        Assert.Equal(["lock"], Names());
    }

    [Fact]
    public async Task RunAsync_RepositoryAwayAndServerRestartedMeanwhile_GoesOnSpilling()
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        _failure = SmcErrorCode.StorageUnavailable;
        Fail(static (_, _) => true);
        await InsertAsync(8);
        await UntilSlotAsync(await CurrentLsnAsync());
        await Server.RestartAsync();
        await InsertAsync(8);
        await UntilSlotAsync(await CurrentLsnAsync());
        await Server.KillAsync();
        await Server.ResumeAsync();
        await InsertAsync(8);
        Lsn end = await CurrentLsnAsync();
        await UntilSlotAsync(end);
        Assert.True(stream.Receiver.Status.Reconnects > 0);

        Fail(null);
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        Assert.Empty(SpilledNames());
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task RunAsync_RepositoryRefusesTheAccount_SpillsAndSaysWhatToDo()
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        _failure = SmcErrorCode.StorageAccessDenied;
        _recommendation = "Sign in again.";
        Fail(static (_, _) => true);
        await InsertAsync(10);
        await UntilSlotAsync(await CurrentLsnAsync());
        string warning = Assert.Single(stream.Warnings);
        Assert.Contains("on this host only until", warning, StringComparison.Ordinal);
        Assert.Contains("Sign in again.", warning, StringComparison.Ordinal);

        // A lost connection does not end it either, although nothing can be asked of the repository.
        await Server.RestartAsync();
        await InsertAsync(10);
        Lsn end = await CurrentLsnAsync();
        await UntilSlotAsync(end);
        await stream.UntilAsync(static status => status is { State: "Spilling", LagSeconds: > 0.5 });

        Fail(null);
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        Assert.Empty(SpilledNames());
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task RunAsync_RepositoryIsFullAtTheStart_ClaimsWhenThereIsRoom()
    {
        Fail(static (operation, _) => operation is "put" or "create");
        await using (RunningReceiver stream = Start())
        {
            await InsertAsync(10);
            await UntilSlotAsync(await CurrentLsnAsync());
            Assert.Empty(await KeysAsync(Repository));
            Assert.DoesNotContain(await AllKeysAsync(), static key => key.Contains("/streams/", StringComparison.Ordinal));
            await stream.StopAsync();
            Assert.Equal("Stopped", stream.Receiver.Status.State);
            Assert.True(stream.Receiver.Status.SpilledBytes > 0);
            Assert.Contains("next stream on this host", stream.Warnings.Last(), StringComparison.Ordinal);
        }

        // The next one takes it up, still without room, and then with it.
        await using RunningReceiver next = Start();
        await InsertAsync(3);
        Lsn end = await CurrentLsnAsync();
        await UntilSlotAsync(end);
        Assert.Contains("an earlier stream spilled", next.Warnings.First(), StringComparison.Ordinal);
        Fail(null);
        await next.FlushedAsync(end);
        Assert.Contains(await AllKeysAsync(), static key => key.Contains("/streams/", StringComparison.Ordinal));
        await next.StopAsync();
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task RunAsync_SpillIsFull_AcknowledgesNoMoreUntilThereIsRoomAndLosesNothing()
    {
        await using RunningReceiver stream = Start(Options with { SpillLimit = 1 << 20 });
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Fail(Full);
        await InsertAsync(40);
        Lsn end = await CurrentLsnAsync();
        await stream.UntilAsync(static status => status.State == "Spilling" && status.Message!.Contains("is full", StringComparison.Ordinal));
        Assert.InRange(stream.Receiver.Status.SpilledBytes!.Value, 1, 1 << 20);
        Assert.True(await SlotAsync() < end);
        Assert.Single(stream.Warnings, static warning => warning.Contains("is full: it holds", StringComparison.Ordinal));

        Fail(null);
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        Assert.Single(stream.Warnings, static warning => warning.Contains("is full: it holds", StringComparison.Ordinal));
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task RunAsync_SpillIsNearlyFull_WarnsOnceWithWhatTheServerCanHold()
    {
        await Server.ExecuteAsync("ALTER SYSTEM SET max_slot_wal_keep_size = '500MB'");
        await Server.ExecuteAsync("SELECT pg_reload_conf()");
        await using RunningReceiver stream = Start(Options with { SpillLimit = 2 << 20 });
        await InsertAsync(1);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Fail(Full);
        while (!stream.Warnings.Any(static warning => warning.Contains("When it is full", StringComparison.Ordinal)))
        {
            await InsertAsync(1);
            await UntilSlotAsync(await CurrentLsnAsync());
        }

        Assert.Contains("It may write", stream.Warnings.Last(), StringComparison.Ordinal);
        await InsertAsync(1);
        await UntilSlotAsync(await CurrentLsnAsync());
        Assert.Single(stream.Warnings, static warning => warning.Contains("When it is full", StringComparison.Ordinal));
        Fail(null);
        await stream.FlushedAsync(await CurrentLsnAsync());
        await stream.StopAsync();
    }

    [RootFact]
    public async Task RunAsync_SpillsOwnFileSystemIsFull_AcknowledgesNoMoreAndLeavesRoomThere()
    {
        using SmallFileSystem disk = new();
        await using RunningReceiver stream = Start(Options with { SpillDirectory = disk.Path });
        await InsertAsync(1);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Fail(Full);
        await InsertAsync(50);
        Lsn end = await CurrentLsnAsync();
        await stream.UntilAsync(static status => status.Message?.Contains("is full", StringComparison.Ordinal) == true);
        Assert.True(new DriveInfo(disk.Path).AvailableFreeSpace >= new DriveInfo(disk.Path).TotalSize / 20);
        Assert.True(await SlotAsync() < end);
        Fail(null);
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task RunAsync_OtherContentCameToTheRepositoryMeanwhile_IsALoudErrorAndNeitherIsChanged()
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Fail(Full);
        await InsertAsync(25);
        await UntilSlotAsync(await CurrentLsnAsync());
        string[] spilled = SpilledNames();
        WalSegmentName name = WalSegmentName.Parse(spilled.First(static name => name.Length == WalSegmentName.Length));
        Volatile.Write(ref _fails, (operation, key) => Full(operation, key) && !key.EndsWith(name.ToString(), StringComparison.Ordinal));
        WalFacts facts = new() { Index = WalIndex.Empty, LastRecordEnd = name.StartLsn(SegmentSize), ServerVersionNumber = 150000 };
        await new WalArchive(Repository, SystemId).PutSegmentAsync(name, Foreign(name), facts, CancellationToken.None);
        Fail(null);

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal(SmcErrorCode.WalDuplicate, error.Code);
        Assert.Contains(name.ToString(), error.Message, StringComparison.Ordinal);
        Assert.Contains(Spill, error.Message, StringComparison.Ordinal);
        Assert.Contains(name.ToString(), SpilledNames());
        Assert.NotNull(await Repository.Store.GetInfoAsync(WalKey.Whole(name).ToKey(SystemId), CancellationToken.None));
    }

    [Fact]
    public async Task RunAsync_Synchronous_SpillsNothingAndDegrades()
    {
        await using RunningReceiver stream = Start(Options with { Synchronous = true, SynchronousTimeout = TimeSpan.FromSeconds(1) });
        await stream.UntilAsync(static status => status.SynchronousState == "Synchronous");
        Fail(Full);
        await Server.ExecuteAsync("INSERT INTO t (v) VALUES ('let go')").WaitAsync(TimeSpan.FromSeconds(60));
        Lsn end = await CurrentLsnAsync();
        await stream.UntilAsync(static status => status.SynchronousState == "Degraded");
        Assert.True(await SlotAsync() < end);
        Assert.Empty(SpilledNames());
        Assert.DoesNotContain(stream.States, static status => status.State == "Spilling");
        Fail(null);
        await stream.UntilAsync(static status => status is { SynchronousState: "Synchronous", BreachCount: 1 });
        await stream.FlushedAsync(end);
        await stream.StopAsync();
    }

    [Fact]
    public async Task RunAsync_SynchronousAfterASpill_BringsItBeforeItStreams()
    {
        Lsn end = await LeaveSpillAsync();
        await using RunningReceiver stream = Start(Options with { Synchronous = true });
        await stream.UntilAsync(static status => status.SynchronousState == "Synchronous");
        Assert.Empty(SpilledNames());
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task RunAsync_ClaimLostWhileSpilling_StopsAndSaysHowMuchIsWhere()
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Fail(Full);
        await InsertAsync(10);
        await UntilSlotAsync(await CurrentLsnAsync());

        // The other one can write its claim and no WAL.
        await using RunningReceiver other = Start(Options with { Slot = "other", SpillDirectory = null, Takeover = true });
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal(SmcErrorCode.StreamTaken, error.Code);
        Assert.Contains($"stay in '{Spill}'", error.Message, StringComparison.Ordinal);
        Assert.Contains("-Takeover", error.Recommendation, StringComparison.Ordinal);
        Assert.NotEmpty(SpilledNames());
        Fail(null);
        await InsertAsync(1);
        await other.FlushedAsync(await CurrentLsnAsync());
        await other.StopAsync();

        // What it left behind is the same as what the other found on the server.
        await using RunningReceiver again = Start();
        Lsn end = await CurrentLsnAsync();
        await again.FlushedAsync(end);
        await again.StopAsync();
        Assert.Empty(SpilledNames());
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task RunAsync_StreamElsewhere_SaysThatWalMayBeSpilledOnTheOtherHost()
    {
        await LeaveSpillAsync();
        await using RunningReceiver elsewhere = Start(Options with { SpillDirectory = null });
        await elsewhere.UntilAsync(static status => status.State == "Streaming");
        string warning = Assert.Single(elsewhere.Warnings, static warning => warning.Contains("may still be spilled", StringComparison.Ordinal));
        Assert.Contains($"on {Environment.MachineName} in '{Spill}'", warning, StringComparison.Ordinal);
        await elsewhere.StopAsync();
    }

    [Fact]
    public async Task RunAsync_ServerHasRemovedWhatIsSpilledElsewhere_TheGapSaysSo()
    {
        await LeaveSpillAsync(40);
        await Server.ExecuteAsync("SELECT pg_switch_wal()");
        await Server.ExecuteAsync("CHECKPOINT");
        await using RunningReceiver elsewhere = Start(Options with { SpillDirectory = null });
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => elsewhere.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal(SmcErrorCode.WalGap, error.Code);
        Assert.Contains($"on {Environment.MachineName} in '{Spill}'", error.Message, StringComparison.Ordinal);
        Assert.Contains("on that host once", error.Recommendation, StringComparison.Ordinal);

        // As it says.
        await using RunningReceiver stream = Start();
        Lsn end = await CurrentLsnAsync();
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        await AssertCompleteAsync(end);
    }

    [Fact]
    public async Task ListWindows_WalIsSpilled_SaysWhere()
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(2);
        await stream.FlushedAsync(await CurrentLsnAsync());
        await BaseBackup.RunAsync(
            Server.CreateConnector(), Repository, new BaseBackupOptions(), Operations.NullObserver.Instance, CancellationToken.None);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Assert.NotEmpty(await WalWindows.ListAsync(
            Repository, Server.CreateConnector(), Slot, TimeSpan.FromMinutes(1), stream, CancellationToken.None));
        Assert.Empty(stream.Warnings);
        Fail(Full);
        await InsertAsync(5);
        await UntilSlotAsync(await CurrentLsnAsync());
        await WalWindows.ListAsync(Repository, Server.CreateConnector(), Slot, TimeSpan.FromMinutes(1), stream, CancellationToken.None);
        string warning = Assert.Single(stream.Warnings, static warning => warning.Contains("the rest may be spilled", StringComparison.Ordinal));
        Assert.Contains($"on {Environment.MachineName} in '{Spill}'", warning, StringComparison.Ordinal);
        Fail(null);
        await stream.FlushedAsync(await CurrentLsnAsync());
        await stream.StopAsync();
    }

    [Fact]
    public async Task RunAsync_EncryptedRepository_SpillsWhatIsSealed()
    {
        using (RepositoryKeySource key = new PassphraseSource("a passphrase for the test"))
        {
            Repository = await Repository.OpenOrCreateAsync(
                new HookedObjectStore(new DirectoryObjectStore(Path.Combine(LabDirectory, "sealed")), (operation, name) =>
                    Volatile.Read(ref _fails)?.Invoke(operation, name) == true ? throw new SmcException(_failure, "Full.") : Task.CompletedTask),
                key,
                CancellationToken.None);
        }

        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Fail(Full);
        await InsertAsync(20);
        Lsn end = await CurrentLsnAsync();
        await UntilSlotAsync(end);
        string[] files = Directory.GetFiles(Spill, "0*");
        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            Assert.DoesNotContain("systemId", Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file)), StringComparison.Ordinal);
        }

        Fail(null);
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        await AssertCompleteAsync(end);
    }

    private static bool Full(string operation, string key) => operation is "put" or "create" && IsWal(key);

    /// <summary>A segment as another server of the same identity could have written it.</summary>
    private byte[] Foreign(WalSegmentName name)
    {
        byte[] content = File.ReadAllBytes(Path.Combine(Server.DataDirectory, "pg_wal", name.ToString()));
        content.AsSpan(SegmentSize / 2).Clear();
        return content;
    }

    private void AssertModes()
    {
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Spill));
            Assert.All(
                Directory.GetFiles(Spill), static file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        }
    }

    private static void AssertNoPiecesOfWholeSegments(string[] keys)
    {
        string[] whole = [.. keys.Where(static key => !key.Contains('.', StringComparison.Ordinal))];
        Assert.DoesNotContain(keys, key => key.Contains('.', StringComparison.Ordinal) && whole.Contains(key.Split('.')[0]));
    }

    private void Fail(Func<string, string, bool>? fails) => Volatile.Write(ref _fails, fails);

    /// <summary>A stream that ends while it spills.</summary>
    private async Task<Lsn> LeaveSpillAsync(int transactions = 10)
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Fail(Full);
        await InsertAsync(transactions);
        Lsn end = await CurrentLsnAsync();
        await UntilSlotAsync(end);
        await stream.StopAsync();
        Fail(null);
        Assert.NotEmpty(SpilledNames());
        return end;
    }

    private async Task<string[]> KeysAsync(Repository repository) => [.. (await ListAsync(repository)).Where(IsWal)];

    private Task<List<string>> AllKeysAsync() => ListAsync(Repository);

    private static async Task<List<string>> ListAsync(Repository repository)
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in repository.Store.ListAsync("wal/", CancellationToken.None))
        {
            keys.Add(info.Key);
        }

        return keys;
    }
}
