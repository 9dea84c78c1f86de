using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// A tablespace that was made after the base backup: replay makes it anew in the directory that it had, and nothing can send it elsewhere (trap 12).
/// </summary>
public sealed class LateTablespaceTests : IAsyncLifetime
{
    private const string Slot = "smcdr_late";
    private readonly string _root = TestPrograms.CreateDirectory();
    private PostgresServer _server = null!;
    private Repository _repository = null!;
    private Lsn _target;

    private string Location => Path.Combine(_root, "late");

    public async Task InitializeAsync()
    {
        _server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false, WalSegmentMegabytes = 1 });
        string path = Path.Combine(_root, "repository");
        Directory.CreateDirectory(path);
        _repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(path), default);
        await using RunningStream stream = RunningStream.Start(_server.CreateConnector(), _repository, Slot);
        await BaseBackup.RunAsync(_server.CreateConnector(), _repository, new BaseBackupOptions { Slot = Slot }, NullObserver.Instance, default);
        Directory.CreateDirectory(Location);
        TestPrograms.GiveToServer(Location);
        await _server.ExecuteAsync($"CREATE TABLESPACE late LOCATION '{Location}'");
        await _server.ExecuteAsync("CREATE TABLE t TABLESPACE late AS SELECT generate_series(1, 100) AS id");
        _target = Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_insert_lsn()::text"));
        await _server.ExecuteAsync("INSERT INTO t SELECT generate_series(101, 20000)");
        // Who reads rows first notes in them that they are committed: then they need no transaction to be seen.
        await _server.ScalarAsync<long>("SELECT count(*) FROM t");
        await stream.Receiver.WaitForFlushAsync(Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text")), default);
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task ExecuteAsync_InThePlaceOfTheCluster_KeepsWhatThePreviousOneHasInIt_Trap12()
    {
        await _server.StopAsync();
        RecoveryRequest request = Request(_server.DataDirectory) with { Force = true };
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        Assert.Contains(plan.Moves, move => move.Path == Location);

        // Interrupted right after the moves, too.
        await Assert.ThrowsAsync<OperationCanceledException>(() => DatabaseRecovery.ExecuteAsync(
            plan,
            NullObserver.Instance,
            Interrupt,
            default));
        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(
            await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default), NullObserver.Instance, default);

        Assert.Equal(100L, await CountAsync(result.DataDirectory));
        Assert.Equal(20000L, await CountAsync(result.PreviousDataDirectory!));
        Assert.Equal(100L, await CountAsync(result.DataDirectory));
    }

    [Fact]
    public async Task ExecuteAsync_Delta_PagesBehindTheEndOfAFileThatReplayMakesAnew_DoNotComeBackAsRows_Trap12()
    {
        await _server.StopAsync();
        RecoveryRequest request = Request(_server.DataDirectory) with { Delta = true };
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        Assert.Equal(Location, Assert.Single(plan.Moves).Path);

        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);

        Assert.Equal(100L, await CountAsync(result.DataDirectory));
    }

    [Fact]
    public async Task ExecuteAsync_TheDirectoryOutlivedItsCluster_IsNoticedAndTheNextRunSetsItAside_Trap12()
    {
        await _server.StopAsync();
        Directory.Delete(_server.DataDirectory, recursive: true);
        RecoveryRequest request = Request(_server.DataDirectory);

        SmcException e = await Assert.ThrowsAsync<SmcException>(async () => await DatabaseRecovery.ExecuteAsync(
            await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default), NullObserver.Instance, default));
        Assert.Equal((SmcErrorCode.VerificationFailed, Location), (e.Code, e.Target));
        Assert.Contains("--force", e.Recommendation, StringComparison.Ordinal);

        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(
            await DatabaseRecovery.PlanAsync(request with { Force = true }, NullObserver.Instance, default), NullObserver.Instance, default);
        Assert.Equal(100L, await CountAsync(result.DataDirectory));
    }

    [Fact]
    public async Task PlanAsync_BesideAStoppedClusterThatHasIt_IsRefused_Trap12()
    {
        await _server.StopAsync();

        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => DatabaseRecovery.PlanAsync(Request(Path.Combine(_root, "beside")), NullObserver.Instance, default));

        Assert.Equal((SmcErrorCode.TargetUnsuitable, Location), (e.Code, e.Target));
        Assert.Contains($"'{_server.DataDirectory}'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ExecuteAsync_OnAHostWithoutTheDirectory_NamesItAndGoesOnOnceItIsThere_Trap12()
    {
        await _server.StopAsync();
        Directory.Delete(_server.DataDirectory, recursive: true);
        Directory.Delete(Location, recursive: true);
        RecoveryRequest request = Request(Path.Combine(_root, "elsewhere"));

        SmcException e = await Assert.ThrowsAsync<SmcException>(async () => await DatabaseRecovery.ExecuteAsync(
            await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default), NullObserver.Instance, default));
        Assert.Equal(SmcErrorCode.RecoveryFailed, e.Code);
        Assert.Contains($"\"{Location}\" does not exist", e.Message, StringComparison.Ordinal);

        Directory.CreateDirectory(Location);
        TestPrograms.GiveToServer(Location);
        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(
            await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default), NullObserver.Instance, default);
        Assert.True(result.Resumed);
        Assert.Equal(100L, await CountAsync(result.DataDirectory));
    }

    private static void Interrupt(RecoveryPhase phase)
    {
        if (phase == RecoveryPhase.Moved)
        {
            throw new OperationCanceledException();
        }
    }

    private RecoveryRequest Request(string data) => new()
    {
        Repository = _repository,
        Target = RecoveryTarget.AtLsn(_target),
        DataDirectory = data,
        BinDirectory = TestPrograms.BinDirectory,
        OsUser = TestPrograms.OsUser,
        KeepRunning = false,
    };

    private async Task<long> CountAsync(string data)
    {
        await using PostgresServer server = await PostgresServer.StartAsync(
            new PostgresServerOptions { ExistingDataDirectory = data, Password = _server.Password, Fsync = false });
        long count = await server.ScalarAsync<long>("SELECT count(*) FROM t");
        await server.StopAsync();
        return count;
    }
}
