using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Fixtures;
using Xunit.Abstractions;
using PostgresPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// A cluster that is written to all the time, its WAL stream through a bad network, and what happens to both. At most three servers run at
/// a time. What happens is a function of the seed; when exactly it meets a server is not.
/// </summary>
internal sealed class WalTorture : IAsyncDisposable
{
    private const int RoundsToATurn = 7;
    private const string Slot = "smcdr";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    private readonly int _seed;
    private readonly ITestOutputHelper _output;
    private readonly Random _random;
    private readonly TemporaryDirectory _directory = new();
    private readonly SortedDictionary<string, int> _events = new(StringComparer.Ordinal);
    private readonly DirectoryObjectStore _store;
    private readonly IObjectStore _streamStore;
    private readonly FaultyObjectStore? _faults;
    private ClusterNode _primary = null!;
    private ClusterNode? _zombie;
    private SupervisedStream? _zombieStream;
    private Task<ClusterNode>? _standby;
    private NetworkProxy _network = null!;
    private SupervisedStream _stream = null!;
    private Task _backup = Task.CompletedTask;
    private int _round;
    private int _turns;
    private int _zombieEnd;
    private int _injected;

    public WalTorture(int seed, bool faultyStore, ITestOutputHelper output)
    {
        (_seed, _output, _random) = (seed, output, new Random(seed));
        _store = new DirectoryObjectStore(Path.Combine(_directory.Path, "repository"));
        _faults = faultyStore ? new FaultyObjectStore(_store) : null;
        _streamStore = (IObjectStore?)_faults ?? _store;
    }

    public CommitLedger Ledger { get; } = new();

    public IObjectStore Store => _store;

    /// <summary>The superuser's password on all servers of the cluster.</summary>
    public string Password { get; private set; } = "";

    /// <summary>Where the last of the primaries was when all of it was in the archive.</summary>
    public (uint Timeline, Lsn Lsn) End { get; private set; }

    public async Task BeginAsync()
    {
        _ = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        _primary = await ClusterNode.CreateAsync();
        Password = _primary.Server.Password;
        await _primary.BeginAsync(Ledger, _random.Next());
        _network = new NetworkProxy(_primary.Server.Port);
        _stream = new SupervisedStream(ThroughTheNetwork(), _streamStore, Slot);
        _stream.Start();
        await _stream.FlushedAsync(_primary.Timeline, await _primary.PositionAsync(), s_patience);
        _ = await BackUpAsync(_primary.Server.CreateConnector(), full: true);
        Clone();
    }

    /// <summary>Something happens; every so often the cluster takes a turn to a new timeline.</summary>
    public async Task RoundAsync()
    {
        _round++;
        if (_round % RoundsToATurn == 0)
        {
            await NoteAsync(_turns++ % 2 == 0 ? "promotion" : "fork", _turns % 2 == 1 ? PromoteAsync : ForkAsync);
            return;
        }

        (int Weight, string Name, Func<Task> Run)[] events =
        [
            (3, "calm", () => Task.Delay(_random.Next(200, 1500))),
            (3, "receiver restarted", RestartReceiverAsync),
            (3, "receiver killed", KillReceiverAsync),
            (2, "server restarted", () => RestartAsync("fast")),
            (2, "server stopped at once", () => RestartAsync("immediate")),
            (3, "server killed", () => RestartAsync(null)),
            (3, "network cut", () => DisturbAsync(_network.Cut)),
            (3, "network stalled", () => DisturbAsync(_network.Stall)),
            (2, "network slow", () => DisturbAsync(() => _network.Slow(TimeSpan.FromMilliseconds(_random.Next(1, 60))))),
            (2, "network forgot", ForgetAsync),
            (2, "connection half closed", HalfCloseAsync),
            (3, "segment switched", () => SqlAsync("SELECT pg_switch_wal()")),
            (4, "restore point", MakeRestorePointAsync),
            (5, "backup", BeginBackupAsync),
            (2, "retention", RetainAsync),
            (2, "standby restarted", RestartStandbyAsync),
            (_faults is null ? 0 : 4, "store fails", FailStoreAsync),
            (1, "twin", TwinAsync),
        ];
        int pick = _random.Next(events.Sum(static one => one.Weight));
        (_, string name, Func<Task> run) = events.First(one => (pick -= one.Weight) < 0);
        await NoteAsync(name, run);
    }

    /// <summary>The network heals, the stream catches up by itself, and all ends.</summary>
    public async Task EndAsync()
    {
        _network.Heal();
        _injected += _faults?.Injected ?? 0;
        _faults?.Plan(new Dictionary<int, StoreFault>(), _seed);
        await EndZombieAsync();
        await _backup;
        await _stream.FlushedAsync(_primary.Timeline, await _primary.PositionAsync(), s_patience);
        Assert.NotNull(await BackUpAsync(_primary.Server.CreateConnector(), full: false));
        await Task.Delay(500);
        await _primary.EndWriterAsync();
        End = (_primary.Timeline, await _primary.PositionAsync());
        await _stream.FlushedAsync(End.Timeline, End.Lsn, s_patience);
        await _stream.StopAsync();
        Assert.True(_stream.Failure is null, $"The stream ended for good: {_stream.Failure}");
        await DisposeServersAsync();
        Ledger.Check();
        _output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{_round} rounds, {Ledger.Count} commits; {Text(_events)}; restarts of the stream: {Text(_stream.Endings)}; store faults: {_injected}"));
    }

    public async ValueTask DisposeAsync()
    {
        _network?.Heal();
        if (_stream is not null)
        {
            await _stream.KillAsync();
        }

        await DisposeServersAsync();
        await _store.DisposeAsync();
        _directory.Dispose();
    }

    // ----- recovery, also for the test that follows

    public async Task<List<RecoveryWindow>> WindowsAsync()
    {
        List<RecoveryWindow> windows = [];
        await foreach (RecoveryWindow window in WalWindows.ListAsync(await OpenAsync(), CancellationToken.None))
        {
            windows.Add(window);
        }

        return windows;
    }

    public async Task<Repository> OpenAsync() => await Repository.OpenOrCreateAsync(_store, CancellationToken.None);

    /// <summary>Recovers to a target in a directory of its own, whose folder <c>data</c> it is then.</summary>
    public async Task<RecoveryPlan> RecoverAsync(string directory, RecoveryTarget target, string? backupId)
    {
        RecoveryRequest request = new()
        {
            Repository = await OpenAsync(),
            BackupId = backupId,
            Target = target,
            DataDirectory = Path.Combine(directory, "data"),
            KeepRunning = false,
            Parallelism = 2,
        };
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, CancellationToken.None);
        _ = await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, CancellationToken.None);
        return plan;
    }

    private static string Text(IEnumerable<KeyValuePair<string, int>> counts) =>
        string.Join(", ", counts.Select(static one => string.Create(CultureInfo.InvariantCulture, $"{one.Key}: {one.Value}")));

    private async Task NoteAsync(string name, Func<Task> run)
    {
        Stopwatch watch = Stopwatch.StartNew();
        try
        {
            await run();
            Assert.True(_stream.Failure is null, $"The stream ended for good: {_stream.Failure}");
            if (_zombie is not null && _round >= _zombieEnd)
            {
                await EndZombieAsync();
            }
        }
        catch (Exception)
        {
            _output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Round {_round}, {name}, seed {_seed}, on timeline {_primary.Timeline}."));
            throw;
        }

        _events[name] = _events.GetValueOrDefault(name) + 1;
        _output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"Round {_round}: {name}, timeline {_primary.Timeline}, {watch.ElapsedMilliseconds} ms."));
    }

    private PostgresConnector ThroughTheNetwork() => new(
        new NpgsqlConnectionStringBuilder(_primary.Server.ConnectionString) { Port = _network.Port }.ConnectionString,
        _ => ValueTask.FromResult<string?>(Password));

    // ----- events

    private async Task RestartReceiverAsync()
    {
        await _stream.StopAsync();
        await Task.Delay(_random.Next(500));
        _stream.Start();
    }

    private async Task KillReceiverAsync()
    {
        await _stream.KillAsync();
        await Task.Delay(_random.Next(500));
        _stream.Start();
    }

    private async Task RestartAsync(string? mode)
    {
        await (mode is null ? _primary.Server.KillAsync() : _primary.Server.StopAsync(mode));
        await Task.Delay(_random.Next(400));
        await _primary.Server.ResumeAsync();
        _network.TargetPort = _primary.Server.Port;
    }

    private async Task DisturbAsync(Action disturb)
    {
        disturb();
        // Shorter than the server's patience, about as long, and longer.
        await Task.Delay(_random.Next(3) == 0 ? _random.Next(2500, 4500) : _random.Next(100, 1500));
        _network.Heal();
    }

    private Task ForgetAsync()
    {
        _network.Forget();
        return Task.Delay(_random.Next(500));
    }

    private Task HalfCloseAsync()
    {
        _network.HalfClose(towardsClient: _random.Next(2) == 0);
        return Task.Delay(_random.Next(500));
    }

    private Task SqlAsync(string sql) => _primary.Server.ExecuteAsync(sql);

    private async Task MakeRestorePointAsync()
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"point {_round}");
        Lsn end = Lsn.Parse(await _primary.Server.ScalarAsync<string>($"SELECT pg_create_restore_point('{name}')::text"));
        Ledger.Add(_primary.Timeline, name, end);
    }

    /// <summary>A backup that runs while other things happen, and may fail of them.</summary>
    private async Task BeginBackupAsync()
    {
        await _backup;
        PostgresConnector connector = _primary.Server.CreateConnector();
        bool full = _random.Next(3) == 0;
        _backup = Task.Run(() => BackUpAsync(connector, full));
        await Task.Delay(_random.Next(300));
    }

    private async Task<BackupInfo?> BackUpAsync(PostgresConnector connector, bool full)
    {
        try
        {
            return await BaseBackup.RunAsync(
                connector,
                await OpenAsync(),
                new BaseBackupOptions { Slot = Slot, Full = full, Parallelism = 2, PackSize = 4 << 20, WalTimeout = TimeSpan.FromSeconds(8) },
                NullObserver.Instance,
                CancellationToken.None);
        }
        catch (SmcException e)
        {
            // What takes the server away takes the backup with it. Nothing makes its WAL invalid.
            Assert.False(e.Code is SmcErrorCode.WalInvalid or SmcErrorCode.WalDuplicate or SmcErrorCode.InternalError, e.ToString());
            lock (_events)
            {
                _events[$"backup failed, {e.Code}"] = _events.GetValueOrDefault($"backup failed, {e.Code}") + 1;
            }

            return null;
        }
    }

    private async Task RetainAsync()
    {
        // As seen in two days, when what runs now counts as dead: so nothing may run.
        await _backup;
        BackupRetention retention = new(
            await OpenAsync(), new RetentionOptions { Time = new ShiftedClock(TimeSpan.FromDays(2)), Parallelism = 2 }, NullObserver.Instance);
        await retention.ExecuteAsync(
            await retention.PlanAsync(new RetentionPolicy { Last = _random.Next(3, 6) }, CancellationToken.None), CancellationToken.None);
    }

    private async Task RestartStandbyAsync()
    {
        ClusterNode standby = await StandbyAsync();
        await standby.Server.StopAsync(_random.Next(2) == 0 ? "fast" : "immediate");
        await Task.Delay(_random.Next(300));
        await standby.Server.ResumeAsync();
    }

    private Task FailStoreAsync()
    {
        _injected += _faults!.Injected;
        _faults.PlanRandom(_random.Next(), 400, 0.1);
        return Task.Delay(_random.Next(500, 1500));
    }

    /// <summary>
    /// The standby is started as a primary of the same timeline, and somebody streams it as well: the same names, other bytes. That stream must
    /// end loudly, and the other not at all.
    /// </summary>
    private async Task TwinAsync()
    {
        ClusterNode twin = await StandbyAsync();
        _standby = null;
        try
        {
            await twin.Server.StopAsync();
            File.Delete(Path.Combine(twin.Server.DataDirectory, "standby.signal"));
            await SqlAsync("SELECT pg_switch_wal()");
            await _stream.FlushedAsync(_primary.Timeline, await _primary.PositionAsync(), s_patience);
            await twin.Server.ResumeAsync();
            Lsn passed = await _primary.PositionAsync() + (6 << 20);
            while (await twin.PositionAsync() < passed)
            {
                await twin.Server.ExecuteAsync("SELECT pg_logical_emit_message(false, 'twin', repeat('t', 1000000)); INSERT INTO ledger VALUES (-pg_current_xact_id()::text::bigint, 0, '', '')");
            }

            await using SupervisedStream stream = new(twin.Server.CreateConnector(), _store, "twin");
            stream.Start();
            Stopwatch watch = Stopwatch.StartNew();
            while (stream.Failure is null && watch.Elapsed < s_patience)
            {
                await Task.Delay(50);
            }

            SmcException error = Assert.IsType<SmcException>(stream.Failure);
            Assert.True(error.Code is SmcErrorCode.WalDuplicate or SmcErrorCode.WalInvalid, error.ToString());
        }
        finally
        {
            await twin.DisposeAsync();
        }

        Clone();
    }

    // ----- turns

    /// <summary>The standby takes over: from a primary that ended in order, crashed, or goes on.</summary>
    private async Task PromoteAsync()
    {
        await EndZombieAsync();
        ClusterNode standby = await StandbyAsync();
        _standby = null;
        // What its primary wrote before it was made is nowhere else: without that there would be a gap which no product can close.
        await _stream.FlushedAsync(_primary.Timeline, standby.FirstLsn(), s_patience);
        int kind = _random.Next(3);
        if (kind < 2)
        {
            await (kind == 0 ? _primary.Server.StopAsync() : _primary.Server.KillAsync());
        }

        if (_random.Next(2) == 0)
        {
            // The address moves before the standby is what it is to become.
            Lead(standby);
        }

        Assert.True(await standby.Server.ScalarAsync<bool>("SELECT pg_promote(true, 60)"));
        await FollowAsync(standby, keepOld: kind == 2);
    }

    /// <summary>The archive is recovered to an earlier point, and that becomes the primary. Sometimes somebody has tried it before.</summary>
    private async Task ForkAsync()
    {
        await EndZombieAsync();
        if (_standby is not null)
        {
            await using ClusterNode standby = await StandbyAsync();
            _standby = null;
        }

        // The archive must know the timeline that is, or what is restored takes the same number.
        await _stream.FlushedAsync(_primary.Timeline, Lsn.Zero, s_patience);
        int trial = _random.Next(3);
        if (trial > 0)
        {
            // Its timeline is in the archive, so the next one takes another number; or it is not, and the number is free.
            await using ClusterNode other = await RestoreAsync(isKnown: trial == 1);
            if (trial == 1)
            {
                await using SupervisedStream stream = new(other.Server.CreateConnector(), _store, "trial");
                stream.Start();
                await Task.Delay(_random.Next(300));
                await stream.FlushedAsync(other.Timeline, await other.PositionAsync(), s_patience);
                Assert.Null(stream.Failure);
            }
        }

        await FollowAsync(await RestoreAsync(isKnown: false), keepOld: _random.Next(2) == 0);
    }

    private async Task<ClusterNode> RestoreAsync(bool isKnown)
    {
        // As they are now: an archived trial takes what comes from its backup to its own timeline.
        List<RecoveryWindow> windows = await WindowsAsync();
        RecoveryWindow window = windows[_random.Next(windows.Count)];
        string directory = PostgresPrograms.CreateDirectory();
        try
        {
            uint timeline = (uint)window.Timeline;
            List<CommittedRow> rows = Ledger.Between(timeline, Lsn.Parse(window.EarliestLsn), Lsn.Parse(window.LatestLsn));
            Lsn lsn = rows.Count > 0 ? rows[_random.Next(rows.Count)].After : Lsn.Parse(window.LatestLsn);
            RecoveryPlan plan = await RecoverAsync(directory, RecoveryTarget.AtLsn(lsn) with { Inclusive = false }, window.BackupId);
            ClusterNode node = await ClusterNode.OpenAsync(directory, Password);
            Ledger.At(plan.Timeline, lsn).AssertAre(await LedgerWriter.ReadAsync(node.Server), $"the fork of timeline {plan.Timeline} at {lsn}");
            if (isKnown)
            {
                await node.BeginAsync(Ledger, _random.Next());
            }

            return node;
        }
        catch
        {
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    private async Task FollowAsync(ClusterNode next, bool keepOld)
    {
        await next.BeginAsync(Ledger, _random.Next());
        ClusterNode old = _primary;
        _primary = next;
        Lead(next);
        if (keepOld)
        {
            // It goes on as if nothing had happened, with a stream of its own, for a while.
            _zombie = old;
            _zombieEnd = _round + _random.Next(1, 5);
            _zombieStream = new SupervisedStream(old.Server.CreateConnector(), _store, "zombie");
            _zombieStream.Start();
        }
        else
        {
            await _backup;
            await old.DisposeAsync();
        }

        Clone();
    }

    private void Lead(ClusterNode node)
    {
        _network.TargetPort = node.Server.Port;
        _network.Cut();
        _network.Heal();
    }

    private async Task EndZombieAsync()
    {
        if (_zombie is { } zombie)
        {
            _zombie = null;
            await _backup;
            await _zombieStream!.DisposeAsync();
            await zombie.DisposeAsync();
            Assert.True(_zombieStream.Failure is null, $"The stream of the former primary ended for good: {_zombieStream.Failure}");
        }
    }

    private void Clone()
    {
        ClusterNode primary = _primary;
        _standby = Task.Run(async () =>
        {
            // The primary may be taken away meanwhile.
            Stopwatch watch = Stopwatch.StartNew();
            while (true)
            {
                try
                {
                    return await ClusterNode.CloneAsync(primary);
                }
                catch (InvalidOperationException) when (watch.Elapsed < s_patience)
                {
                    await Task.Delay(300);
                }
            }
        });
    }

    private Task<ClusterNode> StandbyAsync() => _standby!;

    private async Task DisposeServersAsync()
    {
        await _backup;
        if (_zombieStream is not null)
        {
            await _zombieStream.DisposeAsync();
        }

        if (_zombie is not null)
        {
            await _zombie.DisposeAsync();
        }

        if (_standby is not null)
        {
            await using ClusterNode standby = await _standby;
            _standby = null;
        }

        if (_primary is not null)
        {
            await _primary.DisposeAsync();
        }

        if (_network is not null)
        {
            await _network.DisposeAsync();
        }
    }

    private sealed class ShiftedClock(TimeSpan shift) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + shift;
    }
}
