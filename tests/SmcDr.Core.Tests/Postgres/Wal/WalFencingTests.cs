using System.Globalization;
using Npgsql;
using SmcDr.Core.Leases;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>A former primary that is still there, on a real server: nothing more of it comes into the repository.</summary>
public sealed class WalFencingTests : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new();
    private PostgresServer _server = null!;
    private Repository _repository = null!;
    private FencingEpochs _epochs = null!;
    private bool _isAway;

    private static WalReceiverOptions Options { get; } = RunningReceiver.Quick with
    {
        Slot = "smcdr",
        Exclusive = true,
        Fencing = new FencingScope("orders", "east"),
    };

    public async Task InitializeAsync()
    {
        _server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string> { ["autovacuum"] = "off" },
        });
        await _server.ExecuteAsync("CREATE TABLE t (id bigserial PRIMARY KEY, v text)");
        HookedObjectStore store = new(
            new DirectoryObjectStore(Path.Combine(_directory.Path, "repository")),
            (_, _) => Volatile.Read(ref _isAway)
                ? throw new SmcException(SmcErrorCode.StorageUnavailable, "Away.")
                : Task.CompletedTask);
        _repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        _epochs = new FencingEpochs(_repository, "orders");
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        _directory.Dispose();
    }

    [Fact]
    public async Task RunAsync_NextEpochBegins_TheStreamStopsAndNotOneByteMoreComesIn()
    {
        await using RunningReceiver stream = Start();
        await stream.FlushedAsync(await InsertAsync());
        await _epochs.AdvanceAsync(0, "west", "test", CancellationToken.None);
        await InsertAsync();
        await SmcErrorCode.Fenced.ThrowsAsync(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        List<string> keys = await WalKeysAsync();

        // The zombie's supervisor starts it again, and again.
        for (int i = 0; i < 2; i++)
        {
            await InsertAsync();
            await using RunningReceiver again = Start();
            SmcException error = await SmcErrorCode.Fenced.ThrowsAsync(() => again.Run.WaitAsync(TimeSpan.FromSeconds(60)));
            Assert.Contains("'west'", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(keys, await WalKeysAsync());
    }

    [Fact]
    public async Task RunAsync_NothingIsWritten_TheStreamLearnsOfTheNextEpochAllTheSame()
    {
        await using RunningReceiver stream = Start(Options with { ClaimInterval = TimeSpan.FromMilliseconds(100) });
        await stream.FlushedAsync(await InsertAsync());
        await _epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
        await SmcErrorCode.Fenced.ThrowsAsync(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    [Fact]
    public async Task RunAsync_ServerIsAway_TheStreamLearnsOfTheNextEpochAndLetsGoOfItsClaim()
    {
        await using RunningReceiver stream = Start();
        await stream.FlushedAsync(await InsertAsync());
        await _server.KillAsync();
        await _epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
        await SmcErrorCode.Fenced.ThrowsAsync(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    [Fact]
    public async Task RunAsync_EpochOfItsOwnRegion_IsEnteredByANewStreamOnly()
    {
        await using RunningReceiver stream = Start();
        await stream.FlushedAsync(await InsertAsync());
        await _epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
        await _epochs.AdvanceAsync(1, "east", "failed back", CancellationToken.None);
        await InsertAsync();
        await SmcErrorCode.Fenced.ThrowsAsync(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        await using RunningReceiver again = Start();
        await again.FlushedAsync(await InsertAsync());
        await again.StopAsync();
    }

    [Fact]
    public async Task RunAsync_SynchronousStreamIsFenced_CommitsWaitInsteadOfBeingAcknowledged()
    {
        await using RunningReceiver stream = Start(Options with { Synchronous = true, SynchronousTimeout = TimeSpan.FromMinutes(10) });
        await stream.UntilAsync(static s => s.SynchronousState == "Synchronous");
        await _epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
        Task commit = _server.ExecuteAsync("INSERT INTO t (v) VALUES ('to nobody')");
        await SmcErrorCode.Fenced.ThrowsAsync(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal("smcdr", (await _server.ScalarAsync<string>("SELECT current_setting('synchronous_standby_names')")).Trim('"'));
        await UntilWaitingAsync();
        Assert.False(commit.IsCompleted);

        await _server.ExecuteAsync("ALTER SYSTEM RESET synchronous_standby_names");
        await _server.ExecuteAsync("SELECT pg_reload_conf()");
        await commit.WaitAsync(TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task RunAsync_FencedUnderLoad_WhatWasAcknowledgedIsThereForWhoBeganTheEpoch()
    {
        for (int round = 0; round < 4; round++)
        {
            string site = string.Create(CultureInfo.InvariantCulture, $"orders{round}");
            FencingEpochs epochs = new(_repository, site);
            await using RunningReceiver stream = Start(Options with
            {
                Synchronous = true,
                SynchronousTimeout = TimeSpan.FromMinutes(10),
                Fencing = new FencingScope(site, "east"),
            });
            await stream.UntilAsync(static s => s.SynchronousState == "Synchronous");
            bool isOver = false;
            long acknowledged = 0;
            TaskCompletionSource busy = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Task writer = Task.Run(async () =>
            {
                await using NpgsqlConnection connection = await _server.OpenAsync();
                while (!Volatile.Read(ref isOver))
                {
                    await using NpgsqlCommand insert = new("INSERT INTO t (v) VALUES ('x') RETURNING xmin::text::bigint", connection);
                    long xid = (long)(await insert.ExecuteScalarAsync())!;
                    Volatile.Write(ref acknowledged, xid);
                    if (xid % 10 == round)
                    {
                        busy.TrySetResult();
                    }
                }
            });
            await busy.Task.WaitAsync(TimeSpan.FromSeconds(60));
            await epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
            long archived = await MaxXidAsync();

            await SmcErrorCode.Fenced.ThrowsAsync(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
            await UntilWaitingAsync();
            Assert.True(
                Volatile.Read(ref acknowledged) <= archived,
                $"Transaction {acknowledged} was acknowledged, and {archived} was the last in the repository when the epoch began.");
            Volatile.Write(ref isOver, true);
            await _server.ExecuteAsync("ALTER SYSTEM RESET synchronous_standby_names");
            await _server.ExecuteAsync("SELECT pg_reload_conf()");
            await writer.WaitAsync(TimeSpan.FromSeconds(60));
        }
    }

    [Fact]
    public async Task RunAsync_SpilledBeforeTheNextEpoch_IsNotBroughtAfterwards()
    {
        string spill = Path.Combine(_directory.Path, "spill");
        WalReceiverOptions options = Options with { SpillDirectory = spill, SpillAfter = TimeSpan.FromSeconds(5) };
        List<string> keys;
        await using (RunningReceiver stream = Start(options))
        {
            await stream.FlushedAsync(await InsertAsync());
            Volatile.Write(ref _isAway, true);
            await InsertAsync();
            await stream.UntilAsync(static s => s.State == "Spilling");

            // Meanwhile the other region takes over, with the repository that this one does not reach.
            Repository other = await Repository.OpenAsync(
                new DirectoryObjectStore(Path.Combine(_directory.Path, "repository")), CancellationToken.None);
            await new FencingEpochs(other, "orders").AdvanceAsync(0, "west", null, CancellationToken.None);
            keys = await other.Store.KeysAsync("wal/");
            Volatile.Write(ref _isAway, false);
            await SmcErrorCode.Fenced.ThrowsAsync(() => stream.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        }

        Assert.Equal(Segments(keys), Segments(await WalKeysAsync()));
        Assert.True(Directory.EnumerateFiles(spill).Count() > 1);

        // Even where this region leads again: what was spilled is of a history that was left.
        await _epochs.AdvanceAsync(1, "east", null, CancellationToken.None);
        await using RunningReceiver again = Start(options);
        SmcException error = await SmcErrorCode.Fenced.ThrowsAsync(() => again.Run.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Contains(spill, error.Message, StringComparison.Ordinal);
        Assert.Equal(Segments(keys), Segments(await WalKeysAsync()));
    }

    [Fact]
    public async Task BaseBackup_OfAFencedRegion_IsRefused()
    {
        BaseBackupOptions options = new() { Site = "orders", Fencing = Options.Fencing };
        await BaseBackup.RunAsync(_server.CreateConnector(), _repository, options, NullObserver.Instance, CancellationToken.None);
        await _epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
        List<string> keys = await _repository.Store.KeysAsync();
        await SmcErrorCode.Fenced.ThrowsAsync(
            () => BaseBackup.RunAsync(_server.CreateConnector(), _repository, options, NullObserver.Instance, CancellationToken.None));
        Assert.Equal(keys, await _repository.Store.KeysAsync());
    }

    private static string[] Segments(IEnumerable<string> keys) =>
        [.. keys.Where(static key => !key.Contains("/streams/", StringComparison.Ordinal))];

    private async Task<List<string>> WalKeysAsync() => [.. Segments(await _repository.Store.KeysAsync("wal/"))];

    private async Task<Lsn> InsertAsync()
    {
        await _server.ExecuteAsync("INSERT INTO t (v) VALUES ('x')");
        return Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
    }

    private async Task UntilWaitingAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!await _server.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')"))
        {
            await Task.Delay(20, limit.Token);
        }
    }

    private async Task<long> MaxXidAsync()
    {
        ulong systemId = ulong.Parse(
            await _server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()"), CultureInfo.InvariantCulture);
        WalArchive archive = new(_repository, systemId);
        await foreach (WalSegmentInfo segment in archive.ListAsync(CancellationToken.None))
        {
            WalCoverage coverage = await archive.GetCoverageAsync(1, Lsn.Parse(segment.StartLsn!), 1, CancellationToken.None);
            return coverage.Items.Max(static item => item.Index.MaxXid ?? 0);
        }

        return 0;
    }

    private RunningReceiver Start(WalReceiverOptions? options = null) =>
        RunningReceiver.Start(_server.CreateConnector(), _repository, options ?? Options);
}
