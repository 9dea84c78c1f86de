using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>Commits that wait for the repository, on a real server.</summary>
public sealed class WalSynchronousTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;
    private PostgresServer _server = null!;
    private Repository _repository = null!;
    private TaskCompletionSource? _gate;

    private static WalReceiverOptions Options { get; } = RunningReceiver.Quick with
    {
        Slot = "smcdr",
        Synchronous = true,
        SynchronousTimeout = TimeSpan.FromMinutes(5),
    };

    public async Task InitializeAsync()
    {
        _server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false, WalSegmentMegabytes = 1 });
        await _server.ExecuteAsync("CREATE TABLE t (id bigserial PRIMARY KEY, v text)");
        HookedObjectStore store = new(
            new DirectoryObjectStore(Path.Combine(_directory, "repository")),
            (call, key) => call is "put" or "create" && key.StartsWith("wal/", StringComparison.Ordinal)
                ? Volatile.Read(ref _gate)?.Task ?? Task.CompletedTask
                : Task.CompletedTask);
        _repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task RunAsync_Synchronous_ACommitReturnsOnlyWhenItIsInTheRepository()
    {
        await using RunningReceiver stream = Start();
        await stream.UntilAsync(static s => s.SynchronousState == "Synchronous");
        Close();
        Task commit = _server.ExecuteAsync("INSERT INTO t (v) VALUES ('waits')");
        await UntilWaitingAsync();
        Assert.False(commit.IsCompleted);
        Lsn inserted = await CurrentLsnAsync();
        Assert.True(stream.Receiver.FlushedLsn < inserted);
        Open();
        await commit.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.True(stream.Receiver.FlushedLsn >= inserted);
        Assert.Equal(0, stream.Receiver.Status.BreachCount);
        await stream.StopAsync();
    }

    [Fact]
    public async Task RunAsync_SynchronousReceiverStalls_DegradesAfterTheLimitLoggedAsBreachAndGoesBack_Trap40()
    {
        await using RunningReceiver stream = Start(Options with { SynchronousTimeout = TimeSpan.FromSeconds(1) });
        await stream.UntilAsync(static s => s.SynchronousState == "Synchronous");
        Close();
        // It returns although the repository takes nothing.
        await _server.ExecuteAsync("INSERT INTO t (v) VALUES ('let go')").WaitAsync(TimeSpan.FromSeconds(60));
        await stream.UntilAsync(static s => s is { SynchronousState: "Degraded", BreachCount: 1, DegradedSince: not null });
        Assert.Contains(stream.Warnings, static warning => warning.StartsWith("BREACH", StringComparison.Ordinal));
        Assert.Equal("", await NamesAsync());
        await _server.ExecuteAsync("INSERT INTO t (v) VALUES ('does not wait')").WaitAsync(TimeSpan.FromSeconds(60));

        Open();
        await stream.UntilAsync(static s => s is { SynchronousState: "Synchronous", BreachCount: 1, DegradedSince: null });
        Assert.Equal("smcdr", await NamesAsync());
        await _server.ExecuteAsync("INSERT INTO t (v) VALUES ('waits again')").WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Contains(stream.Warnings, static warning => warning.Contains("again", StringComparison.Ordinal));
        await stream.StopAsync();
    }

    [Fact]
    public async Task RunAsync_SynchronousStreamIsStopped_LetsCommitsGoOn()
    {
        await using (RunningReceiver stream = Start())
        {
            await stream.UntilAsync(static s => s.SynchronousState == "Synchronous");
            await stream.StopAsync();
            Assert.Equal(0, stream.Receiver.Status.BreachCount);
        }

        Assert.Equal("", await NamesAsync());
        await _server.ExecuteAsync("INSERT INTO t (v) VALUES ('goes on')").WaitAsync(TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task RunAsync_SynchronousStreamFails_LetsCommitsGoOnAsABreach()
    {
        await using RunningReceiver stream = Start(Options with { Reconnect = false });
        await stream.UntilAsync(static s => s.SynchronousState == "Synchronous");
        Close();
        Task commit = _server.ExecuteAsync("INSERT INTO t (v) VALUES ('waits')");
        await UntilWaitingAsync();
        _gate!.SetException(new SmcException(SmcErrorCode.StorageAccessDenied, "Not any more."));
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run);
        Assert.Equal(SmcErrorCode.StorageAccessDenied, error.Code);
        await commit.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal("", await NamesAsync());
        Assert.Equal(1, stream.Receiver.Status.BreachCount);
    }

    [Fact]
    public async Task RunAsync_ServerKilledWhileCommitsWait_GoesOnSynchronouslyAfterwards()
    {
        await using RunningReceiver stream = Start();
        await stream.UntilAsync(static s => s.SynchronousState == "Synchronous");
        await _server.KillAsync();
        await _server.ResumeAsync();
        Assert.Equal("smcdr", await NamesAsync());
        await _server.ExecuteAsync("INSERT INTO t (v) VALUES ('waits')").WaitAsync(TimeSpan.FromSeconds(60));
        Assert.True(stream.Receiver.FlushedLsn > Lsn.Zero);
        Assert.Equal(0, stream.Receiver.Status.BreachCount);
        await stream.StopAsync();
    }

    [Fact]
    public async Task RunAsync_StandbysOfOthersThatCannotBeMerged_IsRefusedAndLeavesThemAlone()
    {
        await _server.ExecuteAsync("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (a, b)'");
        await _server.ExecuteAsync("SELECT pg_reload_conf()");
        await using RunningReceiver stream = Start();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => stream.Run);
        Assert.Equal(SmcErrorCode.SettingUnsuitable, error.Code);
        Assert.Equal("ANY 1 (a, b)", await _server.ScalarAsync<string>("SELECT current_setting('synchronous_standby_names')"));
    }

    [Fact]
    public async Task AddAndRemove_StandbysOfOthers_ArePreserved()
    {
        await _server.ExecuteAsync("ALTER SYSTEM SET synchronous_standby_names = 'ANY 2 (a, \"b c\")'");
        await _server.ExecuteAsync("SELECT pg_reload_conf()");
        await using NpgsqlConnection connection = await _server.CreateConnector().OpenAsync(CancellationToken.None);
        Assert.True(await SynchronousSetting.AddAsync(connection, "smcdr", CancellationToken.None));
        Assert.False(await SynchronousSetting.AddAsync(connection, "smcdr", CancellationToken.None));
        Assert.Equal(["smcdr", "a", "b c"], (await SynchronousSetting.ReadAsync(connection, CancellationToken.None)).Names);
        Assert.True(await SynchronousSetting.RemoveAsync(connection, "smcdr", CancellationToken.None));
        Assert.False(await SynchronousSetting.RemoveAsync(connection, "smcdr", CancellationToken.None));
        SynchronousStandbys left = await SynchronousSetting.ReadAsync(connection, CancellationToken.None);
        Assert.Equal(["a", "b c"], left.Names);
        Assert.True(left.RequiresAll);
    }

    [Fact]
    public async Task Remove_TheConfigurationFileNamesItToo_StillTakesItOut()
    {
        await _server.RestartAsync(new Dictionary<string, string> { ["synchronous_standby_names"] = "smcdr" });
        await using NpgsqlConnection connection = await _server.CreateConnector().OpenAsync(CancellationToken.None);
        Assert.True(await SynchronousSetting.RemoveAsync(connection, "smcdr", CancellationToken.None));
        Assert.Empty((await SynchronousSetting.ReadAsync(connection, CancellationToken.None)).Names);
    }

    [Fact]
    public async Task CheckAsync_RoleMayNotChangeTheSetting_NamesTheGrantsThatAreEnough()
    {
        await _server.ExecuteAsync("CREATE ROLE streamer LOGIN REPLICATION PASSWORD 'p'; GRANT pg_monitor TO streamer");
        PostgresConnector connector = new(
            new NpgsqlConnectionStringBuilder(_server.ConnectionString) { Username = "streamer" }.ConnectionString,
            static _ => ValueTask.FromResult<string?>("p"));
        await using NpgsqlConnection connection = await connector.OpenAsync(CancellationToken.None);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => SynchronousSetting.CheckAsync(connection, "smcdr", default));
        Assert.Equal(SmcErrorCode.PrivilegeMissing, error.Code);
        int start = error.Recommendation!.IndexOf("GRANT", StringComparison.Ordinal);
        await _server.ExecuteAsync(error.Recommendation[start..]);
        await SynchronousSetting.CheckAsync(connection, "smcdr", default);
        Assert.True(await SynchronousSetting.AddAsync(connection, "smcdr", default));
        Assert.True(await SynchronousSetting.RemoveAsync(connection, "smcdr", default));
    }

    [Theory]
    [InlineData("remote_write")]
    [InlineData("local")]
    [InlineData("off")]
    public async Task CheckAsync_CommitsWouldNotWaitForDurability_IsRefused(string level)
    {
        await using NpgsqlConnection connection = await _server.OpenAsync();
        await using NpgsqlCommand command = new($"SET synchronous_commit = {level}", connection);
        await command.ExecuteNonQueryAsync();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => SynchronousSetting.CheckAsync(connection, "smcdr", default));
        Assert.Equal((SmcErrorCode.SettingUnsuitable, "synchronous_commit"), (error.Code, error.Target));
    }

    [Fact]
    public void Constructor_SynchronousWithoutASlot_IsRefused()
    {
        SmcException error = Assert.Throws<SmcException>(() => new WalReceiver(
            _server.CreateConnector(), _repository, Options with { Slot = null }, Operations.NullObserver.Instance));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
    }

    private void Close() => Volatile.Write(ref _gate, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

    private void Open()
    {
        TaskCompletionSource? gate = Interlocked.Exchange(ref _gate, null);
        gate?.TrySetResult();
    }

    private Task<Lsn> CurrentLsnAsync() => LsnAsync("SELECT pg_current_wal_flush_lsn()::text");

    private async Task<Lsn> LsnAsync(string sql) => Lsn.Parse(await _server.ScalarAsync<string>(sql));

    private async Task<string> NamesAsync() =>
        (await _server.ScalarAsync<string>("SELECT current_setting('synchronous_standby_names')")).Trim('"');

    private async Task UntilWaitingAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!await _server.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')"))
        {
            await Task.Delay(20, limit.Token);
        }
    }

    private RunningReceiver Start(WalReceiverOptions? options = null) =>
        RunningReceiver.Start(_server.CreateConnector(), _repository, options ?? Options);
}
