using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Npgsql;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal.Spilling;

/// <summary>Streams of a real server whose repository is full or away.</summary>
public sealed class WalReceiverSpillTests : IAsyncLifetime
{
    private const int SegmentSize = 1 << 20;
    private const string Slot = "smcdr";

    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;
    private readonly ConcurrentQueue<string> _puts = new();
    private PostgresServer _server = null!;
    private HookedObjectStore _store = null!;
    private Repository _repository = null!;
    private ulong _systemId;
    private Func<string, string, bool>? _fails;
    private SmcErrorCode _failure = SmcErrorCode.StorageFull;

    private string Spill => Path.Combine(_directory, "spill");

    private WalReceiverOptions Options => RunningReceiver.Quick with
    {
        Slot = Slot,
        Exclusive = true,
        SpillDirectory = Spill,
        ClaimInterval = TimeSpan.FromMilliseconds(200),
        SlotCheckInterval = TimeSpan.FromMilliseconds(200),
    };

    public async Task InitializeAsync()
    {
        _server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string> { ["wal_keep_size"] = "0", ["max_wal_size"] = "64MB", ["min_wal_size"] = "32MB" },
        });
        _systemId = ulong.Parse(
            await _server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()"), CultureInfo.InvariantCulture);
        await _server.ExecuteAsync("CREATE TABLE t (id bigserial PRIMARY KEY, v text)");
        _store = new HookedObjectStore(new DirectoryObjectStore(Path.Combine(_directory, "repository")), (operation, key) =>
        {
            if (Volatile.Read(ref _fails) is { } fails && fails(operation, key))
            {
                throw new SmcException(_failure, $"The repository is away ({operation}).");
            }

            if (operation == "put" && IsWal(key))
            {
                _puts.Enqueue(key);
            }

            return Task.CompletedTask;
        });
        _repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task RunAsync_RepositoryFull_SpillsSoThatTheSlotAdvancesAndBringsAllInOrder()
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        string[] before = await KeysAsync(_repository);
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
        Assert.Equal(before, await KeysAsync(_repository));
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
        AssertNoPiecesOfWholeSegments(await KeysAsync(_repository));
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
        await _server.RestartAsync();
        await InsertAsync(8);
        await UntilSlotAsync(await CurrentLsnAsync());
        await _server.KillAsync();
        await _server.ResumeAsync();
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
    public async Task RunAsync_RepositoryIsFullAtTheStart_ClaimsWhenThereIsRoom()
    {
        Fail(static (operation, _) => operation is "put" or "create");
        await using (RunningReceiver stream = Start())
        {
            await InsertAsync(10);
            await UntilSlotAsync(await CurrentLsnAsync());
            Assert.Empty(await KeysAsync(_repository));
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
        await _server.ExecuteAsync("ALTER SYSTEM SET max_slot_wal_keep_size = '500MB'");
        await _server.ExecuteAsync("SELECT pg_reload_conf()");
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
        await new WalArchive(_repository, _systemId).PutSegmentAsync(name, Foreign(name), facts, CancellationToken.None);
        Fail(null);

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal(SmcErrorCode.WalDuplicate, error.Code);
        Assert.Contains(name.ToString(), error.Message, StringComparison.Ordinal);
        Assert.Contains(Spill, error.Message, StringComparison.Ordinal);
        Assert.Contains(name.ToString(), SpilledNames());
        Assert.NotNull(await _repository.Store.GetInfoAsync(WalKey.Whole(name).ToKey(_systemId), CancellationToken.None));
    }

    [Fact]
    public async Task RunAsync_Synchronous_SpillsNothingAndDegrades()
    {
        await using RunningReceiver stream = Start(Options with { Synchronous = true, SynchronousTimeout = TimeSpan.FromSeconds(1) });
        await stream.UntilAsync(static status => status.SynchronousState == "Synchronous");
        Fail(Full);
        await _server.ExecuteAsync("INSERT INTO t (v) VALUES ('let go')").WaitAsync(TimeSpan.FromSeconds(60));
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
        await _server.ExecuteAsync("SELECT pg_switch_wal()");
        await _server.ExecuteAsync("CHECKPOINT");
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
            _server.CreateConnector(), _repository, new BaseBackupOptions(), Operations.NullObserver.Instance, CancellationToken.None);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Assert.NotEmpty(await WalWindows.ListAsync(
            _repository, _server.CreateConnector(), Slot, TimeSpan.FromMinutes(1), stream, CancellationToken.None));
        Assert.Empty(stream.Warnings);
        Fail(Full);
        await InsertAsync(5);
        await UntilSlotAsync(await CurrentLsnAsync());
        await WalWindows.ListAsync(_repository, _server.CreateConnector(), Slot, TimeSpan.FromMinutes(1), stream, CancellationToken.None);
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
            _repository = await Repository.OpenOrCreateAsync(
                new HookedObjectStore(new DirectoryObjectStore(Path.Combine(_directory, "sealed")), (operation, name) =>
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

    private static bool IsWal(string key) =>
        key.StartsWith("wal/", StringComparison.Ordinal) && !key.Contains("/streams/", StringComparison.Ordinal);

    /// <summary>A segment as another server of the same identity could have written it.</summary>
    private byte[] Foreign(WalSegmentName name)
    {
        byte[] content = File.ReadAllBytes(Path.Combine(_server.DataDirectory, "pg_wal", name.ToString()));
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

    private RunningReceiver Start(WalReceiverOptions? options = null) =>
        RunningReceiver.Start(_server.CreateConnector(), _repository, options ?? Options);

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

    private string[] Names() => [.. Directory.GetFiles(Spill).Select(Path.GetFileName).Order(StringComparer.Ordinal)!];

    /// <summary>The objects of the spill in their order, by their names in the repository.</summary>
    private string[] SpilledNames() => Directory.Exists(Spill)
        ? [.. Names().Where(static name => name.Length > 13 && name[12] == '-').Select(static name => name[13..])]
        : [];

    private async Task InsertAsync(int transactions)
    {
        await using NpgsqlConnection connection = await _server.OpenAsync();
        for (int i = 0; i < transactions; i++)
        {
            await using NpgsqlCommand command = new(
                "INSERT INTO t (v) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 50) g, generate_series(1, 60) GROUP BY g", connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    private async Task<Lsn> CurrentLsnAsync() => Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));

    private async Task<Lsn> SlotAsync() =>
        Lsn.Parse(await _server.ScalarAsync<string>($"SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = '{Slot}'"));

    /// <summary>Waits until the server was told that everything before a position is durable.</summary>
    private async Task UntilSlotAsync(Lsn lsn)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (await SlotAsync() < lsn)
        {
            await Task.Delay(20, limit.Token);
        }
    }

    private async Task<string[]> KeysAsync(Repository repository) => [.. (await ListAsync(repository)).Where(IsWal)];

    private Task<List<string>> AllKeysAsync() => ListAsync(_repository);

    private static async Task<List<string>> ListAsync(Repository repository)
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in repository.Store.ListAsync("wal/", CancellationToken.None))
        {
            keys.Add(info.Key);
        }

        return keys;
    }

    /// <summary>All that the server has written is archived in one piece, byte for byte as far as the server still has it.</summary>
    private async Task AssertCompleteAsync(Lsn end)
    {
        WalArchive archive = new(_repository, _systemId);
        WalSegmentInfo first = null!;
        await foreach (WalSegmentInfo info in archive.ListAsync(CancellationToken.None))
        {
            first ??= info;
        }

        WalCoverage coverage = await archive.GetCoverageAsync((uint)first.Timeline, Lsn.Parse(first.StartLsn!), null, CancellationToken.None);
        Assert.Null(coverage.Gap);
        Assert.True(coverage.EndLsn >= end, $"The archive ends at {coverage.EndLsn}, before {end}.");
        int compared = 0;
        foreach (WalItem item in coverage.Items)
        {
            byte[] content = await archive.ReadAsync(item, CancellationToken.None);
            string path = Path.Combine(_server.DataDirectory, "pg_wal", item.Name.ToString());
            if (File.Exists(path))
            {
                Assert.True((await File.ReadAllBytesAsync(path)).AsSpan(0, content.Length).SequenceEqual(content), $"{item.Name} differs.");
                compared++;
            }
        }

        Assert.True(compared > 0);
    }
}
