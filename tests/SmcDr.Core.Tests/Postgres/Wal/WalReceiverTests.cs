using System.Globalization;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>Against a real server with segments of 1 MB.</summary>
public sealed class WalReceiverTests : IAsyncLifetime
{
    private const int SegmentSize = 1 << 20;

    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;
    private readonly List<PostgresServer> _servers = [];
    private readonly List<string> _copies = [];
    private PostgresServer _server = null!;
    private Repository _repository = null!;
    private ulong _systemId;

    private WalArchive Archive => new(_repository, _systemId);

    public async Task InitializeAsync()
    {
        _server = await StartServerAsync();
        _systemId = await SystemIdAsync(_server);
        _repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory, "repository")), CancellationToken.None);
        await _server.ExecuteAsync("CREATE TABLE t (id bigserial PRIMARY KEY, v text)");
    }

    public async Task DisposeAsync()
    {
        foreach (PostgresServer server in _servers)
        {
            await server.DisposeAsync();
        }

        foreach (string path in _copies.Append(_directory))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    [Fact]
    public async Task RunAsync_ContinuousInserts_ArchivesTheServersWalByteForByte()
    {
        Lsn end;
        await using (RunningReceiver stream = Start())
        {
            await InsertAsync(_server, 40);
            end = await CurrentLsnAsync(_server);
            await stream.FlushedAsync(end);
            Assert.True(stream.Receiver.Status.SegmentCount >= 3);
            Assert.Empty(stream.Warnings);
            await stream.StopAsync();
        }

        WalCoverage coverage = await CoverageAsync();
        Assert.True(coverage.EndLsn >= end);
        Assert.Null(coverage.Gap);
        await AssertSameAsTheServersAsync(coverage);

        // Every commit of the table is in the index: the inserts are one transaction each.
        Assert.True(coverage.Commits >= 40);
        Assert.NotNull(coverage.ServerTime);
        Assert.InRange(coverage.LastCommitTime!.Value, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow);

        // Whole segments have taken the place of their pieces.
        string[] keys = await KeysAsync();
        string[] whole = [.. keys.Where(static key => !key.Contains('.', StringComparison.Ordinal))];
        Assert.DoesNotContain(keys, key => key.Contains('.', StringComparison.Ordinal) && whole.Contains(key.Split('.')[0]));
    }

    [Fact]
    public async Task RunAsync_ServerKilled_HasEverythingThatWasReportedAsFlushed()
    {
        await using RunningReceiver stream = Start();
        Lsn acknowledged = Lsn.Zero;
        for (int i = 0; i < 10; i++)
        {
            await InsertAsync(_server, 1);
            acknowledged = await CurrentLsnAsync(_server);
        }

        await stream.FlushedAsync(acknowledged);
        Lsn reported = Lsn.Parse(stream.Receiver.Status.FlushedLsn!);
        await _server.KillAsync();
        await stream.UntilAsync(static s => s.State == "Waiting");

        WalCoverage coverage = await CoverageAsync();
        Assert.True(coverage.EndLsn >= reported && coverage.EndLsn >= acknowledged);
        await AssertSameAsTheServersAsync(coverage);
    }

    [Fact]
    public async Task RunAsync_ServerKilledAndStartedAgain_GoesOnWithoutGapOrDuplicate()
    {
        await using RunningReceiver stream = Start("smcdr");
        for (int round = 0; round < 3; round++)
        {
            await InsertAsync(_server, 5);
            await stream.FlushedAsync(await CurrentLsnAsync(_server));
            if (round == 1)
            {
                await _server.RestartAsync();
            }
            else
            {
                await _server.KillAsync();
                await _server.ResumeAsync();
            }
        }

        await InsertAsync(_server, 5);
        await stream.FlushedAsync(await CurrentLsnAsync(_server));
        Assert.True(stream.Receiver.Status.Reconnects >= 3);
        await stream.StopAsync();
        WalCoverage coverage = await CoverageAsync();
        Assert.Null(coverage.Gap);
        Assert.True(coverage.Commits >= 20);
        await AssertSameAsTheServersAsync(coverage);
    }

    [Fact]
    public async Task RunAsync_StoppedCleanlyByTheServer_HasItsLastRecord()
    {
        await using RunningReceiver stream = Start("smcdr");
        await InsertAsync(_server, 2);
        await stream.FlushedAsync(await CurrentLsnAsync(_server));
        // A fast shutdown waits until the stream has confirmed the shutdown checkpoint.
        await _server.StopAsync();
        string control = await PostgresPrograms.RunAsync("pg_controldata", ["-D", _server.DataDirectory]);
        Lsn checkpoint = Lsn.Parse(control.Split('\n').Single(static l => l.StartsWith("Latest checkpoint location:", StringComparison.Ordinal)).Split(':', 2)[1].Trim());
        WalCoverage coverage = await CoverageAsync();
        Assert.True(coverage.LastRecordEnd > checkpoint);
    }

    [Fact]
    public async Task RunAsync_Cancelled_StoresWhatItHasTellsTheServerAndDropsItsSlot()
    {
        await using RunningReceiver stream = Start(options: RunningReceiver.Quick with { FlushInterval = TimeSpan.FromHours(1) });
        await stream.UntilAsync(static s => s.State == "Streaming");
        await InsertAsync(_server, 1);
        Lsn end = await CurrentLsnAsync(_server);
        // The write position that Npgsql reports is the end of what it has read of the stream.
        await UntilAsync(async () => await _server.ScalarAsync<bool>($"SELECT coalesce(bool_or(write_lsn >= '{end}'), false) FROM pg_stat_replication"));
        Assert.True(stream.Receiver.FlushedLsn < end);
        await stream.StopAsync();

        Assert.Equal("Stopped", stream.Receiver.Status.State);
        Assert.True(stream.Receiver.FlushedLsn >= end);
        Assert.True((await CoverageAsync()).EndLsn >= end);
        await UntilAsync(async () => await _server.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots") == 0);
        SmcException ended = await Assert.ThrowsAsync<SmcException>(() => stream.FlushedAsync(end + (1 << 30)));
        Assert.Equal(SmcErrorCode.OperationStopped, ended.Code);
    }

    [Fact]
    public async Task RunAsync_Slot_ConfirmsOnlyWhatIsDurable()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        TaskCompletionSource release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Lsn before = await CurrentLsnAsync(_server);
        store.BeforePut = (_, token) => release.Task.WaitAsync(token);
        await using RunningReceiver stream = RunningReceiver.Start(_server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await stream.UntilAsync(static s => s.State == "Streaming");
        await InsertAsync(_server, 1);
        Lsn end = await CurrentLsnAsync(_server);

        // The server has sent it, and hears status reports all the time while the store hangs; none of them claims more than there is.
        await UntilAsync(async () => await _server.ScalarAsync<bool>($"SELECT coalesce(bool_or(sent_lsn >= '{end}'), false) FROM pg_stat_replication"));
        string sent = await _server.ScalarAsync<string>("SELECT clock_timestamp()::text");
        await UntilAsync(async () => await _server.ScalarAsync<bool>($"SELECT coalesce(max(reply_time) > '{sent}', false) FROM pg_stat_replication"));
        Assert.False(await _server.ScalarAsync<bool>($"SELECT coalesce(bool_or(flush_lsn > '{before}'), false) FROM pg_stat_replication"));
        Assert.True(stream.Receiver.FlushedLsn < end);

        release.SetResult();
        await stream.FlushedAsync(end);
        await UntilAsync(async () => await _server.ScalarAsync<bool>($"SELECT restart_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'smcdr'"));
    }

    [Fact]
    public async Task RunAsync_StoreSlowerThanWalSenderTimeout_KeepsTheConnection()
    {
        // The server's patience is long beside any pause of this machine, and the store holds out until it is over by the server's own clock.
        await _server.RestartAsync(new Dictionary<string, string> { ["wal_sender_timeout"] = "5s" });
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        TaskCompletionSource release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource hanging = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RunningReceiver stream = RunningReceiver.Start(_server.CreateConnector(), repository, RunningReceiver.Quick);
        await stream.UntilAsync(static s => s.State == "Streaming");
        store.BeforePut = (_, token) =>
        {
            hanging.TrySetResult();
            return release.Task.WaitAsync(token);
        };
        await InsertAsync(_server, 12);
        await hanging.Task.WaitAsync(TimeSpan.FromSeconds(60));
        string since = await _server.ScalarAsync<string>("SELECT clock_timestamp()::text");
        await UntilAsync(async () => await _server.ScalarAsync<bool>(
            $"SELECT coalesce(max(reply_time) > '{since}'::timestamptz + interval '6 seconds', false) FROM pg_stat_replication"));

        release.SetResult();
        await stream.FlushedAsync(await CurrentLsnAsync(_server));
        Assert.Equal(0, stream.Receiver.Status.Reconnects);
        Assert.Empty(stream.Warnings);
    }

    [Fact]
    public async Task RunAsync_ReceiverDiesWithoutFlushing_NextOneGoesOnAndComparesWhatComesAgain()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        for (int round = 1; round <= 6; round++)
        {
            // The store breaks for good at some write: nothing behind it is stored, not even at the end.
            int left = round * 2;
            store.BeforePut = (_, _) => Interlocked.Decrement(ref left) >= 0 ? Task.CompletedTask
                : throw new SmcException(SmcErrorCode.StorageAccessDenied, "The store is gone.");
            store.BeforeDelete = (_, _) => left >= 0 ? Task.CompletedTask : throw new SmcException(SmcErrorCode.StorageAccessDenied, "The store is gone.");
            await using RunningReceiver stream = RunningReceiver.Start(
                _server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr", FlushInterval = TimeSpan.Zero });
            while (!stream.Run.IsCompleted)
            {
                await InsertAsync(_server, 1);
            }

            SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run);
            Assert.Equal(SmcErrorCode.StorageAccessDenied, error.Code);
            store.BeforePut = store.BeforeDelete = null;
            WalCoverage between = await CoverageAsync(repository);
            Assert.Null(between.Gap);
            Assert.True(between.EndLsn >= stream.Receiver.FlushedLsn);
        }

        await using RunningReceiver last = RunningReceiver.Start(_server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await last.FlushedAsync(await CurrentLsnAsync(_server));
        await last.StopAsync();
        WalCoverage coverage = await CoverageAsync(repository);
        Assert.Null(coverage.Gap);
        await AssertSameAsTheServersAsync(coverage, repository);
        Assert.DoesNotContain(store.Keys, key => key.Contains('.', StringComparison.Ordinal) && store.Keys.Contains(key.Split('.')[0]));
    }

    [Fact]
    public async Task RunAsync_StorePassesThroughOutage_GoesOnByItself()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        int failures = 3;
        store.BeforePut = (_, _) => Interlocked.Decrement(ref failures) < 0 ? Task.CompletedTask
            : throw new SmcException(SmcErrorCode.StorageUnavailable, "The store does not answer.");
        await using RunningReceiver stream = RunningReceiver.Start(_server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await InsertAsync(_server, 3);
        await stream.FlushedAsync(await CurrentLsnAsync(_server));
        Assert.Contains(stream.States, static s => s.State == "Waiting" && s.Message!.Contains("does not answer", StringComparison.Ordinal));
        await stream.StopAsync();
        await AssertSameAsTheServersAsync(await CoverageAsync(repository), repository);
    }

    [Fact]
    public async Task RunAsync_SecondReceiverOnTheSlot_IsRefused()
    {
        await using RunningReceiver first = Start("smcdr");
        await InsertAsync(_server, 1);
        await first.FlushedAsync(await CurrentLsnAsync(_server));

        await using RunningReceiver second = Start("smcdr");
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => second.Run);
        Assert.Equal(SmcErrorCode.SlotUnavailable, error.Code);
        Assert.False(first.Run.IsCompleted);
    }

    [Fact]
    public async Task RunAsync_TwoReceiversOnTheirOwnSlots_StoreTheSameTogether()
    {
        await using RunningReceiver first = Start("one");
        await using RunningReceiver second = Start("two");
        await InsertAsync(_server, 30);
        Lsn end = await CurrentLsnAsync(_server);
        await first.FlushedAsync(end);
        await second.FlushedAsync(end);
        await first.StopAsync();
        await second.StopAsync();
        WalCoverage coverage = await CoverageAsync();
        Assert.True(coverage.EndLsn >= end);
        await AssertSameAsTheServersAsync(coverage);
    }

    [Fact]
    public async Task RunAsync_ForeignSystemId_IsRefused_Trap35()
    {
        await using RunningReceiver stream = Start(options: RunningReceiver.Quick with { ExpectedSystemId = _systemId + 1 });
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run);
        Assert.Equal(SmcErrorCode.SystemIdMismatch, error.Code);
        Assert.Empty(await KeysAsync());
    }

    [Fact]
    public async Task RunAsync_LostSlot_SaysToTakeABaseBackup_Trap39()
    {
        await _server.RestartAsync(new Dictionary<string, string> { ["max_slot_wal_keep_size"] = "1MB", ["min_wal_size"] = "2MB", ["max_wal_size"] = "2MB" });
        await _server.ExecuteAsync("SELECT pg_create_physical_replication_slot('smcdr', true)");
        await UntilAsync(async () =>
        {
            await InsertAsync(_server, 5);
            await _server.ExecuteAsync("SELECT pg_switch_wal()");
            await _server.ExecuteAsync("CHECKPOINT");
            return await _server.ScalarAsync<string>("SELECT wal_status FROM pg_replication_slots") == "lost";
        });

        await using (RunningReceiver stream = Start("smcdr"))
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run);
            Assert.Equal(SmcErrorCode.SlotLost, error.Code);
            Assert.Contains("base backup", error.Recommendation, StringComparison.Ordinal);
            Assert.Equal(("SlotLost", "lost"), (stream.Receiver.Status.State, stream.Receiver.Status.SlotState));
            Assert.Contains(stream.Warnings, static warning => warning.Contains("Take a new base backup now", StringComparison.Ordinal));
        }

        // Nothing is archived yet, so that nothing can be missing: the slot is made anew.
        await using RunningReceiver allowed = Start("smcdr", RunningReceiver.Quick with { ContinueAfterGap = true });
        await InsertAsync(_server, 1);
        await allowed.FlushedAsync(await CurrentLsnAsync(_server));
        Assert.NotEqual("lost", await _server.ScalarAsync<string>("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'smcdr'"));
        Assert.False(allowed.Receiver.Status.BaseBackupNeeded);
        await allowed.StopAsync();
    }

    [Fact]
    public async Task RunAsync_SlotLostBehindTheArchive_WarnsWhileItComesAndGoesOnWhereAllowedAskingForABaseBackup()
    {
        await _server.RestartAsync(new Dictionary<string, string> { ["max_slot_wal_keep_size"] = "8MB", ["min_wal_size"] = "2MB", ["max_wal_size"] = "2MB" });
        await using (RunningReceiver before = Start("smcdr"))
        {
            await InsertAsync(_server, 1);
            await before.FlushedAsync(await CurrentLsnAsync(_server));
            await before.StopAsync();
        }

        // A repository that takes nothing: the stream lags behind until the server has had enough of it.
        HookedObjectStore store = new(_repository.Store, static (call, _) => call is "put" or "create"
            ? throw new SmcException(SmcErrorCode.StorageUnavailable, "Away.")
            : Task.CompletedTask);
        Repository stuck = await Repository.OpenAsync(store, CancellationToken.None);
        WalReceiverOptions options = RunningReceiver.Quick with
        {
            Slot = "smcdr",
            RetainedWarning = 2 << 20,
            SafeWalWarning = 100 << 20,
            SlotCheckInterval = TimeSpan.FromMilliseconds(50),
            StatusInterval = TimeSpan.FromMilliseconds(50),
        };
        await using (RunningReceiver lagging = RunningReceiver.Start(_server.CreateConnector(), stuck, options))
        {
            Task<SmcException> ended = Assert.ThrowsAsync<SmcException>(() => lagging.Run);
            await UntilAsync(async () =>
            {
                await InsertAsync(_server, 4);
                await _server.ExecuteAsync("CHECKPOINT");
                return ended.IsCompleted;
            });
            Assert.Equal(SmcErrorCode.SlotLost, (await ended).Code);
            Assert.Contains(lagging.States, static status => status.RetainedBytes >= 2 << 20);
            Assert.Contains(lagging.States, static status => status.SafeWalBytes is not null);
            string[] retained = [.. lagging.Warnings.Where(static warning => warning.Contains("keeps", StringComparison.Ordinal))];
            // Once for each doubling, however far it comes before the server has had enough; the last may come before its status.
            long most = lagging.States.Max(static status => status.RetainedBytes) ?? 0;
            Assert.InRange(retained.Length, 1, (int)Math.Log2(most / (2 << 20)) + 2);
            Assert.Single(lagging.Warnings, static warning => warning.Contains("is lost", StringComparison.Ordinal));
        }

        Lsn archived = (await CoverageAsync()).EndLsn;
        await using RunningReceiver allowed = Start("smcdr", RunningReceiver.Quick with { ContinueAfterGap = true });
        await InsertAsync(_server, 1);
        await allowed.FlushedAsync(await CurrentLsnAsync(_server));
        Assert.True(allowed.Receiver.Status.BaseBackupNeeded);
        Assert.NotEqual("lost", await _server.ScalarAsync<string>("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'smcdr'"));
        await allowed.StopAsync();
        WalCoverage coverage = await CoverageAsync();
        Assert.Equal(archived, coverage.EndLsn);
        Assert.NotNull(coverage.Gap);
    }

    [Fact]
    public async Task RunAsync_SecondExclusiveStreamOnAnotherSlot_IsRefusedAndTheFirstGoesOn()
    {
        await using RunningReceiver first = Start("one", RunningReceiver.Quick with { Exclusive = true });
        await InsertAsync(_server, 1);
        await first.FlushedAsync(await CurrentLsnAsync(_server));

        await using RunningReceiver second = Start("two", RunningReceiver.Quick with { Exclusive = true });
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => second.Run);
        Assert.Equal(SmcErrorCode.StreamRunning, error.Code);
        Assert.Contains("'one'", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, await _server.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'two'"));

        // A backup's own stream is no second one.
        await using RunningReceiver backup = Start();
        await InsertAsync(_server, 1);
        await backup.FlushedAsync(await CurrentLsnAsync(_server));
        await backup.StopAsync();
        await first.FlushedAsync(await CurrentLsnAsync(_server));
        await first.StopAsync();
        Assert.DoesNotContain(await KeysAsync(), static key => key.Contains("/streams/", StringComparison.Ordinal));
        Assert.Null((await CoverageAsync()).Gap);
    }

    [Fact]
    public async Task RunAsync_Takeover_TheFormerStreamStopsAndTheOtherGoesOnWithItsSlot()
    {
        // The former one sleeps: it hears of nothing until it wants to write again.
        TaskCompletionSource asleep = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource awake = new(TaskCreationOptions.RunContinuationsAsynchronously);
        bool sleeps = false;
        HookedObjectStore store = new(_repository.Store, (call, key) =>
        {
            if (Volatile.Read(ref sleeps) && call == "info" && key.Contains("/streams/", StringComparison.Ordinal))
            {
                asleep.TrySetResult();
                return awake.Task;
            }

            return Task.CompletedTask;
        });
        Repository slow = await Repository.OpenAsync(store, CancellationToken.None);
        WalReceiverOptions options = RunningReceiver.Quick with { Slot = "smcdr", Exclusive = true };
        await using RunningReceiver first = RunningReceiver.Start(_server.CreateConnector(), slow, options);
        await InsertAsync(_server, 1);
        await first.FlushedAsync(await CurrentLsnAsync(_server));
        Volatile.Write(ref sleeps, true);
        await InsertAsync(_server, 1);
        await asleep.Task.WaitAsync(TimeSpan.FromSeconds(60));

        await using RunningReceiver second = Start("smcdr", options with { Takeover = true });
        await UntilAsync(async () => (await KeysAsync()).Any(static key => key.EndsWith("/ended", StringComparison.Ordinal)));
        string[] before = [.. (await KeysAsync()).Where(static key => !key.Contains("/streams/", StringComparison.Ordinal))];
        awake.SetResult();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => first.Run);
        Assert.Equal(SmcErrorCode.StreamTaken, error.Code);
        Assert.Contains(second.Warnings, static warning => warning.Contains("taken over", StringComparison.Ordinal));
        await InsertAsync(_server, 3);
        Lsn end = await CurrentLsnAsync(_server);
        await second.FlushedAsync(end);
        await second.StopAsync();
        Assert.NotEmpty(before);
        WalCoverage coverage = await CoverageAsync();
        Assert.True(coverage.EndLsn >= end);
        await AssertSameAsTheServersAsync(coverage);
    }

    [Fact]
    public async Task Status_RepositoryStalls_LagIsTheAgeOfTheOldestByteThatIsNotDurable()
    {
        TaskCompletionSource open = new(TaskCreationOptions.RunContinuationsAsynchronously);
        bool stalls = false;
        HookedObjectStore store = new(_repository.Store, (call, _) =>
            Volatile.Read(ref stalls) && call is "put" or "create" ? open.Task : Task.CompletedTask);
        await using RunningReceiver stream = RunningReceiver.Start(
            _server.CreateConnector(), await Repository.OpenAsync(store, CancellationToken.None), RunningReceiver.Quick with { Slot = "smcdr" });
        await InsertAsync(_server, 1);
        await stream.FlushedAsync(await CurrentLsnAsync(_server));
        Volatile.Write(ref stalls, true);
        await InsertAsync(_server, 1);
        Lsn end = await CurrentLsnAsync(_server);
        await stream.UntilAsync(status => status.LagSeconds > 1);
        Volatile.Write(ref stalls, false);
        open.SetResult();
        await stream.FlushedAsync(end);

        // What it had grown to is still told when it is over, and then that all is there.
        stream.States.Clear();
        await stream.UntilAsync(static status => status.LagSeconds == 0);
        await stream.StopAsync();
    }

    [Fact]
    public async Task RunAsync_ServerRemovedWhatIsNotArchived_IsAGapUnlessAllowed()
    {
        await _server.RestartAsync(new Dictionary<string, string> { ["min_wal_size"] = "2MB", ["max_wal_size"] = "2MB" });
        await using (RunningReceiver before = Start())
        {
            await InsertAsync(_server, 1);
            await before.FlushedAsync(await CurrentLsnAsync(_server));
            await before.StopAsync();
        }

        Lsn archived = (await CoverageAsync()).EndLsn;
        string first = await _server.ScalarAsync<string>($"SELECT pg_walfile_name('{archived}')");
        await UntilAsync(async () =>
        {
            await InsertAsync(_server, 5);
            await _server.ExecuteAsync("CHECKPOINT");
            return !File.Exists(Path.Combine(_server.DataDirectory, "pg_wal", first));
        });

        await using RunningReceiver refused = Start();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => refused.Run);
        Assert.Equal(SmcErrorCode.WalGap, error.Code);
        Assert.Contains("base backup", error.Recommendation, StringComparison.Ordinal);

        await using RunningReceiver allowed = Start(options: RunningReceiver.Quick with { ContinueAfterGap = true });
        await InsertAsync(_server, 1);
        await allowed.FlushedAsync(await CurrentLsnAsync(_server));
        await allowed.StopAsync();
        Assert.Contains(allowed.Warnings, static warning => warning.Contains("gap", StringComparison.Ordinal));
        WalCoverage coverage = await CoverageAsync();
        Assert.Equal(archived, coverage.EndLsn);
        Assert.Equal(first, coverage.Gap.ToString());

        // What cannot be filled any more is no reason for not going on.
        await using RunningReceiver later = Start();
        await InsertAsync(_server, 1);
        await later.FlushedAsync(await CurrentLsnAsync(_server));
        await later.StopAsync();
        Assert.Contains(later.Warnings, warning => warning.Contains(archived.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_BackupArchivedItsOwnWalMeanwhile_FillsTheHoleBetween_Trap34()
    {
        await using (RunningReceiver before = Start("smcdr"))
        {
            await InsertAsync(_server, 1);
            await before.FlushedAsync(await CurrentLsnAsync(_server));
            await before.StopAsync();
        }

        await InsertAsync(_server, 30);
        await using (RunningReceiver backup = Start(options: RunningReceiver.Quick with { StartLsn = await CurrentLsnAsync(_server) }))
        {
            await InsertAsync(_server, 1);
            await backup.FlushedAsync(await CurrentLsnAsync(_server));
            await backup.StopAsync();
        }

        Assert.NotNull((await CoverageAsync()).Gap);
        await using RunningReceiver after = Start("smcdr");
        await InsertAsync(_server, 1);
        Lsn end = await CurrentLsnAsync(_server);
        await after.FlushedAsync(end);
        await after.StopAsync();
        WalCoverage coverage = await CoverageAsync();
        Assert.Null(coverage.Gap);
        Assert.True(coverage.EndLsn >= end);
        await AssertSameAsTheServersAsync(coverage);
    }

    [Fact]
    public async Task RunAsync_EndedWhileCatchingUp_ProvesNothingByTheServersClock_Trap20()
    {
        await _server.ExecuteAsync("SELECT pg_create_physical_replication_slot('smcdr', true)");
        await InsertAsync(_server, 60);
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        int left = 2;
        store.BeforePut = (_, _) => Interlocked.Decrement(ref left) >= 0 ? Task.CompletedTask
            : throw new SmcException(SmcErrorCode.StorageAccessDenied, "The store is gone.");
        await using RunningReceiver stream = RunningReceiver.Start(
            _server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr", FlushInterval = TimeSpan.FromHours(1) });
        await Assert.ThrowsAsync<SmcException>(() => stream.Run);

        // All was sent after the last commit, and the last commits are not there: a recovery to that time must not be taken for complete.
        WalCoverage coverage = await CoverageAsync(repository);
        Assert.Equal(2, coverage.Items.Count);
        Assert.Null(coverage.ServerTime);

        store.BeforePut = null;
        await using RunningReceiver last = RunningReceiver.Start(_server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await last.FlushedAsync(await CurrentLsnAsync(_server));
        await last.StopAsync();
        WalCoverage whole = await CoverageAsync(repository);
        Assert.True(whole.ServerTime >= whole.LastCommitTime);
    }

    [Theory]
    [InlineData("folders")]
    [InlineData("put")]
    public async Task RunAsync_NetworkForgetsTheConnection_IsNoticedWhileBeginningAndWhileStreaming_Trap37(string moment)
    {
        await using NetworkProxy network = new(_server.Port);
        PostgresConnector connector = new(
            new NpgsqlConnectionStringBuilder(_server.ConnectionString) { Port = network.Port }.ConnectionString,
            _ => ValueTask.FromResult<string?>(_server.Password));
        int forgotten = 0;
        HookedObjectStore store = new(_repository.Store, (operation, key) =>
        {
            if (operation == moment && key.StartsWith("wal/", StringComparison.Ordinal) && Interlocked.Exchange(ref forgotten, 1) == 0)
            {
                network.Forget();
            }

            return Task.CompletedTask;
        });
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        await using RunningReceiver stream = RunningReceiver.Start(
            connector, repository, RunningReceiver.Quick with { Slot = "smcdr", ServerTimeout = TimeSpan.FromSeconds(2) });
        await stream.UntilAsync(_ => Volatile.Read(ref forgotten) == 1 || stream.States.Any(static s => s.State == "Streaming"));
        // The server notices as well, later: until then it keeps the slot for a connection that is none.
        await _server.ExecuteAsync("ALTER SYSTEM SET wal_sender_timeout = '2s'");
        await _server.ExecuteAsync("SELECT pg_reload_conf()");
        // The first may have been received before the connection was forgotten; what comes next has not.
        for (int i = 0; i < 2; i++)
        {
            await InsertAsync(_server, 2);
            await stream.FlushedAsync(await CurrentLsnAsync(_server));
            Assert.Equal(1, forgotten);
        }

        Assert.True(stream.Receiver.Status.Reconnects >= 1);
        await stream.StopAsync();
        await AssertSameAsTheServersAsync(await CoverageAsync());
    }

    [Fact]
    public async Task RunAsync_OldTimelineIsArchivedBehindTheFork_IsNotTakenForWhatComesBefore_Trap34()
    {
        await InsertAsync(_server, 1);
        await _server.StopAsync();
        PostgresServer standby = await CopyAsync(_server, standby: true);
        await _server.ResumeAsync();
        await using (RunningReceiver before = Start())
        {
            await InsertAsync(_server, 60);
            await before.FlushedAsync(await CurrentLsnAsync(_server));
            await before.StopAsync();
        }

        await _server.KillAsync();
        Assert.True(await standby.ScalarAsync<bool>("SELECT pg_promote(true, 60)"));
        await InsertAsync(standby, 30);
        // A base backup begins here and receives its WAL itself; of the segment before, the archive has what the old primary wrote.
        Lsn start = await CurrentLsnAsync(standby);
        await using RunningReceiver backup = RunningReceiver.Start(
            standby.CreateConnector(), _repository, RunningReceiver.Quick with { StartLsn = start });
        await InsertAsync(standby, 15);
        Lsn end = await CurrentLsnAsync(standby);
        await backup.FlushedAsync(end);
        await backup.StopAsync();
        Assert.True((await Archive.GetCoverageAsync(2, start, null, CancellationToken.None)).EndLsn >= end);
    }

    [Fact]
    public async Task RunAsync_FormerPrimaryFilledTheSegmentOfTheFork_GoesOnToTheNewTimeline_Trap36()
    {
        await using NetworkProxy address = new(_server.Port);
        PostgresConnector connector = new(
            new NpgsqlConnectionStringBuilder(_server.ConnectionString) { Port = address.Port }.ConnectionString,
            _ => ValueTask.FromResult<string?>(_server.Password));
        await using RunningReceiver stream = RunningReceiver.Start(connector, _repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await InsertAsync(_server, 1);
        await stream.FlushedAsync(await CurrentLsnAsync(_server));
        address.Cut();
        await InsertAsync(_server, 1);
        await _server.StopAsync();
        PostgresServer standby = await CopyAsync(_server, standby: true);
        await _server.ResumeAsync();
        await using (RunningReceiver former = Start("former"))
        {
            await InsertAsync(_server, 60);
            await former.FlushedAsync(await CurrentLsnAsync(_server));
            await former.StopAsync();
        }

        await _server.KillAsync();
        Assert.True(await standby.ScalarAsync<bool>("SELECT pg_promote(true, 60)"));
        address.TargetPort = standby.Port;
        address.Heal();
        await InsertAsync(standby, 1);
        Lsn end = await CurrentLsnAsync(standby);
        await stream.FlushedAsync(end);
        await stream.StopAsync();
        WalCoverage coverage = await CoverageAsync();
        Assert.Equal(2u, coverage.EndTimeline);
        Assert.True(coverage.EndLsn >= end);
    }

    [Fact]
    public async Task RunAsync_PieceBecameASegmentSinceItWasListed_GoesOn()
    {
        await using (RunningReceiver before = Start("smcdr"))
        {
            await InsertAsync(_server, 1);
            await before.FlushedAsync(await CurrentLsnAsync(_server));
            await before.StopAsync();
        }

        int gone = 0;
        HookedObjectStore store = new(_repository.Store, async (operation, key) =>
        {
            if (operation is "info" or "read" && key.StartsWith("wal/", StringComparison.Ordinal) && key.Contains('.', StringComparison.Ordinal) &&
                Interlocked.Exchange(ref gone, 1) == 0)
            {
                await _repository.Store.DeleteAsync(key, CancellationToken.None);
            }
        });
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        await using RunningReceiver stream = RunningReceiver.Start(_server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await InsertAsync(_server, 1);
        await stream.FlushedAsync(await CurrentLsnAsync(_server));
        await stream.StopAsync();
        Assert.Equal(1, gone);
        await AssertSameAsTheServersAsync(await CoverageAsync());
    }

    [Fact]
    public async Task RunAsync_PromotedServerIsBehind_TakesBackWhatWasDurableOfTheOtherHistory()
    {
        await InsertAsync(_server, 2);
        await _server.StopAsync();
        PostgresServer standby = await CopyAsync(_server, standby: true);
        await _server.ResumeAsync();
        await using NetworkProxy address = new(_server.Port);
        PostgresConnector connector = new(
            new NpgsqlConnectionStringBuilder(_server.ConnectionString) { Port = address.Port }.ConnectionString,
            _ => ValueTask.FromResult<string?>(_server.Password));
        await using RunningReceiver stream = RunningReceiver.Start(connector, _repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await InsertAsync(_server, 20);
        Lsn lost = await CurrentLsnAsync(_server);
        await stream.FlushedAsync(lost);

        await _server.KillAsync();
        Assert.True(await standby.ScalarAsync<bool>("SELECT pg_promote(true, 60)"));
        address.TargetPort = standby.Port;
        await stream.UntilAsync(static s => s.State == "Streaming" && s.Timeline == 2);
        Assert.True(stream.Receiver.FlushedLsn <= await CurrentLsnAsync(standby));
        await InsertAsync(standby, 1);
        Lsn end = await CurrentLsnAsync(standby);
        Assert.True(end < lost);
        await stream.FlushedAsync(end);
        WalCoverage coverage = await CoverageAsync();
        Assert.Equal(2u, coverage.EndTimeline);
        Assert.True(coverage.EndLsn >= end);
    }

    [Fact]
    public async Task RunAsync_ZombieWritesTheSameTimeline_IsALoudDuplicate()
    {
        // A copy of the cluster: same system identifier, same timeline, other WAL from here on.
        await InsertAsync(_server, 2);
        await _server.StopAsync();
        PostgresServer twin = await CopyAsync(_server);
        await _server.ResumeAsync();
        await using (RunningReceiver stream = Start())
        {
            await InsertAsync(_server, 2);
            await stream.FlushedAsync(await CurrentLsnAsync(_server));
            await stream.StopAsync();
        }

        string[] before = await KeysAsync();
        await twin.ExecuteAsync("INSERT INTO t (v) SELECT 'zombie' FROM generate_series(1, 5000)");
        await using RunningReceiver zombie = RunningReceiver.Start(twin.CreateConnector(), _repository, RunningReceiver.Quick);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => zombie.Run);
        Assert.Equal(SmcErrorCode.WalDuplicate, error.Code);
        Assert.Equal(before, await KeysAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_ServerIsSegmentsBehindTheArchive_IsAnotherOneOrAStandbyThatIsWaitedFor(bool standby)
    {
        await InsertAsync(_server, 2);
        await _server.StopAsync();
        PostgresServer behind = await CopyAsync(_server, standby);
        await _server.ResumeAsync();
        await using (RunningReceiver stream = Start())
        {
            await InsertAsync(_server, 30);
            await stream.FlushedAsync(await CurrentLsnAsync(_server));
            await stream.StopAsync();
        }

        await using RunningReceiver late = RunningReceiver.Start(behind.CreateConnector(), _repository, RunningReceiver.Quick);
        if (standby)
        {
            await late.UntilAsync(static s => s.State == "Waiting");
            Assert.Contains(late.Warnings, static warning => warning.Contains("the standby at", StringComparison.Ordinal));
            await late.StopAsync();
        }
        else
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => late.Run);
            Assert.Equal(SmcErrorCode.WalDuplicate, error.Code);
            Assert.Contains("only up to", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task RunAsync_Promotion_StoresTheHistoryAndFollowsTheNewTimeline_Trap38()
    {
        await using (RunningReceiver stream = Start("smcdr"))
        {
            await InsertAsync(_server, 8);
            await stream.FlushedAsync(await CurrentLsnAsync(_server));
            await stream.StopAsync();
        }

        await _server.StopAsync();
        WalCoverage before = await CoverageAsync();
        PostgresServer promoted = await CopyAsync(_server, standby: true);
        Assert.True(await promoted.ScalarAsync<bool>("SELECT pg_promote(true, 60)"));
        await using RunningReceiver next = RunningReceiver.Start(promoted.CreateConnector(), _repository, RunningReceiver.Quick);
        await InsertAsync(promoted, 8);
        Lsn end = await CurrentLsnAsync(promoted);
        await next.FlushedAsync(end);
        await UntilAsync(() => Task.FromResult(next.Receiver.Status.Timeline == 2));
        await next.StopAsync();

        TimelineHistory history = (await Archive.GetHistoryAsync(2, CancellationToken.None))!;
        Assert.Equal(1u, Assert.Single(history.Branches).Timeline);
        WalCoverage coverage = await CoverageAsync();
        Assert.Equal(2u, coverage.EndTimeline);
        Assert.Null(coverage.Gap);
        Assert.True(coverage.EndLsn >= end && coverage.StartLsn == before.StartLsn);
        Assert.Equal([1u, 2u], coverage.Items.Select(static item => item.Timeline).Distinct());
        Assert.Equal(2u, Assert.Single(coverage.Histories).Timeline);

        // Along the old timeline the archive ends where it was left.
        WalCoverage old = await Archive.GetCoverageAsync(1, coverage.StartLsn, 1, CancellationToken.None);
        Assert.Equal(1u, old.EndTimeline);
        Assert.True(old.EndLsn <= history.Branches[0].SwitchLsn);
    }

    [Fact]
    public async Task RunAsync_PromotionWhileStreamingFromTheStandby_GoesOnAcrossIt()
    {
        await InsertAsync(_server, 2);
        await _server.StopAsync();
        PostgresServer standby = await CopyAsync(_server, standby: true);
        await using RunningReceiver stream = RunningReceiver.Start(standby.CreateConnector(), _repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await stream.UntilAsync(static s => s.State == "Streaming");
        Assert.True(await standby.ScalarAsync<bool>("SELECT pg_promote(true, 60)"));
        await InsertAsync(standby, 4);
        Lsn end = await CurrentLsnAsync(standby);
        await stream.FlushedAsync(end);
        Assert.Equal(2, stream.Receiver.Status.Timeline);
        await stream.StopAsync();
        WalCoverage coverage = await CoverageAsync();
        Assert.Equal(2u, coverage.EndTimeline);
        Assert.True(coverage.EndLsn >= end);
        Assert.NotNull(await Archive.GetHistoryAsync(2, CancellationToken.None));
    }

    [Fact]
    public async Task TimelineHistory_ThroughNpgsql_StillFailsOnServersThatSendText()
    {
        // The reason why history files are read as files. When this fails, Npgsql can be asked instead.
        await _server.StopAsync();
        PostgresServer promoted = await CopyAsync(_server, standby: true);
        Assert.True(await promoted.ScalarAsync<bool>("SELECT pg_promote(true, 60)"));
        await using Npgsql.Replication.PhysicalReplicationConnection connection =
            await promoted.CreateConnector().OpenReplicationAsync(CancellationToken.None);
        await Assert.ThrowsAsync<InvalidCastException>(() => connection.TimelineHistory(2));
    }

    [Theory]
    [InlineData("Robert'); DROP TABLE")]
    [InlineData("UPPER")]
    [InlineData("")]
    public void Constructor_SlotNameThatIsNone_IsRefused(string slot)
    {
        SmcException error = Assert.Throws<SmcException>(() => new WalReceiver(
            _server.CreateConnector(), _repository, new WalReceiverOptions { Slot = slot }, Operations.NullObserver.Instance));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
    }

    private static async Task<ulong> SystemIdAsync(PostgresServer server) => ulong.Parse(
        await server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()"), CultureInfo.InvariantCulture);

    private static async Task<Lsn> CurrentLsnAsync(PostgresServer server) =>
        Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));

    /// <summary>So many transactions of a hundred kilobytes each, that do not compress.</summary>
    private static async Task InsertAsync(PostgresServer server, int transactions)
    {
        await using NpgsqlConnection connection = await server.OpenAsync();
        for (int i = 0; i < transactions; i++)
        {
            await using NpgsqlCommand command = new(
                "INSERT INTO t (v) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 50) g, generate_series(1, 60) GROUP BY g", connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(90));
        while (!await condition())
        {
            await Task.Delay(50, limit.Token);
        }
    }

    private async Task<PostgresServer> StartServerAsync()
    {
        PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string> { ["wal_keep_size"] = "0", ["max_wal_size"] = "64MB", ["min_wal_size"] = "32MB" },
        });
        _servers.Add(server);
        return server;
    }

    /// <summary>Starts a copy of a stopped server's directory on a port of its own.</summary>
    private async Task<PostgresServer> CopyAsync(PostgresServer source, bool standby = false)
    {
        string parent = PostgresPrograms.CreateDirectory();
        _copies.Add(parent);
        string directory = Path.Combine(parent, "data");
        await CopyDirectoryAsync(source.DataDirectory, directory);
        if (standby)
        {
            string signal = Path.Combine(directory, "standby.signal");
            await File.WriteAllTextAsync(signal, "");
            PostgresPrograms.GiveToServer(signal);
        }

        PostgresServer copy = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = directory,
            Password = source.Password,
            Fsync = false,
        });
        _servers.Add(copy);
        return copy;
    }

    private static async Task CopyDirectoryAsync(string from, string to)
    {
        Directory.CreateDirectory(to);
        File.SetUnixFileMode(to, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PostgresPrograms.GiveToServer(to);
        foreach (string path in Directory.GetFileSystemEntries(from))
        {
            string target = Path.Combine(to, Path.GetFileName(path));
            if (Directory.Exists(path))
            {
                await CopyDirectoryAsync(path, target);
            }
            else
            {
                File.Copy(path, target);
                PostgresPrograms.GiveToServer(target);
            }
        }
    }

    private RunningReceiver Start(string? slot = null, WalReceiverOptions? options = null) =>
        RunningReceiver.Start(_server.CreateConnector(), _repository, (options ?? RunningReceiver.Quick) with { Slot = slot });

    private async Task<string[]> KeysAsync()
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in _repository.Store.ListAsync("wal/", CancellationToken.None))
        {
            keys.Add(info.Key);
        }

        return [.. keys];
    }

    /// <summary>What is archived from its first segment on.</summary>
    private async Task<WalCoverage> CoverageAsync(Repository? repository = null)
    {
        WalArchive archive = new(repository ?? _repository, _systemId);
        await foreach (WalSegmentInfo info in archive.ListAsync(CancellationToken.None))
        {
            if (info.StartLsn is not null)
            {
                return await archive.GetCoverageAsync((uint)info.Timeline, Lsn.Parse(info.StartLsn), null, CancellationToken.None);
            }
        }

        throw new InvalidOperationException("Nothing is archived.");
    }

    /// <summary>The archive's bytes are those of the server's files, as far as the server still has them.</summary>
    private async Task AssertSameAsTheServersAsync(WalCoverage coverage, Repository? repository = null)
    {
        WalArchive archive = new(repository ?? _repository, _systemId);
        int compared = 0;
        string fetched = Path.Combine(_directory, "fetched");
        foreach (WalItem item in coverage.Items)
        {
            await archive.FetchAsync(item, fetched, CancellationToken.None);
            byte[] content = await File.ReadAllBytesAsync(fetched);
            Assert.Equal(SegmentSize, content.Length);
            Assert.DoesNotContain(content[(int)item.Length..], static b => b != 0);
            string path = Path.Combine(_server.DataDirectory, "pg_wal", item.Name.ToString());
            if (File.Exists(path))
            {
                byte[] original = await File.ReadAllBytesAsync(path);
                Assert.True(original.AsSpan(0, (int)item.Length).SequenceEqual(content.AsSpan(0, (int)item.Length)), $"{item.Name} differs");
                compared++;
            }
        }

        Assert.True(compared > 0);
    }
}
