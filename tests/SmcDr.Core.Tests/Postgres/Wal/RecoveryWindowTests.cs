using Npgsql;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>What windows promise: only what can be opened here, and what would be lost now.</summary>
public sealed class RecoveryWindowTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private readonly MemoryObjectStore _store = new();

    [Fact]
    public async Task ListAsync_CommitsThatNobodyStreamed_AreCountedFromTheOldest()
    {
        await using PostgresServer server = await StartAsync();
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        await BackupAsync(server, repository);

        // WAL without a commit is bytes, and no time.
        await server.ExecuteAsync("CHECKPOINT");
        await server.ExecuteAsync("SELECT pg_logical_emit_message(false, 'none', 'nothing')");
        RecoveryWindow quiet = await NewestAsync(server.CreateConnector(), repository);
        Assert.True(quiet.LossBytes > 0);
        Assert.Equal(0, quiet.LossSeconds);
        Assert.Null(quiet.LossProblem);

        DateTime first = await server.ScalarAsync<DateTime>("WITH made AS (SELECT 1) SELECT clock_timestamp() FROM made");
        await server.ExecuteAsync("CREATE TABLE t (i int)");
        await server.ExecuteAsync("INSERT INTO t SELECT generate_series(1, 100000)");
        await server.ExecuteAsync("SELECT pg_switch_wal()");
        await server.ExecuteAsync("INSERT INTO t VALUES (0)");
        DateTime commit = await server.ScalarAsync<DateTime>(
            "SELECT pg_xact_commit_timestamp(xmin) FROM pg_class WHERE relname = 't'");
        DateTime before = DateTime.UtcNow;
        RecoveryWindow busy = await NewestAsync(server.CreateConnector(), repository);
        DateTime after = DateTime.UtcNow;
        Assert.True(commit > first);
        Assert.InRange(busy.LossSeconds!.Value, (before - commit).TotalSeconds - 0.001, (after - commit).TotalSeconds + 0.001);
        Assert.True(busy.LossBytes > quiet.LossBytes);
    }

    [Fact]
    public async Task ListAsync_StreamThatHasEverything_LosesNothing()
    {
        await using PostgresServer server = await StartAsync();
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        await using RunningReceiver receiver = RunningReceiver.Start(
            server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "smcdr" });
        await BackupAsync(server, repository);
        await server.ExecuteAsync("CREATE TABLE t (i int)");
        await receiver.FlushedAsync(Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text")));

        RecoveryWindow? window = null;
        // The server's own processes may write at any time.
        await BackupLab.UntilAsync(async () => (window = await NewestAsync(server.CreateConnector(), repository)).LossBytes == 0);
        Assert.Equal(0, window!.LossSeconds);
    }

    [Fact]
    public async Task ListAsync_ServerThatIsDownOrAnother_SaysWhyAndShowsTheWindows()
    {
        await using PostgresServer server = await StartAsync();
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        BackupInfo backup = await BackupAsync(server, repository);
        await using PostgresServer other = await StartAsync();

        RecoveryWindow foreign = await NewestAsync(other.CreateConnector(), repository);
        Assert.Contains("of which there is no window", foreign.LossProblem, StringComparison.Ordinal);

        await server.StopAsync();
        RecoveryWindow down = await NewestAsync(server.CreateConnector(), repository);
        Assert.Equal(backup.Id, down.BackupId);
        Assert.Null(down.LossBytes);
        Assert.Null(down.LossSeconds);
        Assert.Contains("cannot be reached", down.LossProblem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ListAsync_ServerThatNeverAnswers_IsNotWaitedForLongerThanAsked()
    {
        await using PostgresServer server = await StartAsync();
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        await BackupAsync(server, repository);
        using System.Net.Sockets.TcpListener silent = new(System.Net.IPAddress.Loopback, 0);
        silent.Start();
        PostgresConnector connector = new(new NpgsqlConnectionStringBuilder(server.ConnectionString)
        {
            Port = ((System.Net.IPEndPoint)silent.LocalEndpoint).Port,
        }.ConnectionString);

        IReadOnlyList<RecoveryWindow> windows = await WalWindows.ListAsync(
            repository, connector, null, TimeSpan.FromMilliseconds(200), NullObserver.Instance, CancellationToken.None);

        Assert.Contains("did not answer within 0.2 s", Assert.Single(windows).LossProblem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ListAsync_BackupOrWalWhoseKeyIsNotGiven_HasNoWindow()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "key");
        KeyFile.Create(path);
        RepositoryKeySource key = RepositoryKeySource.FromSecret(await File.ReadAllTextAsync(path));
        await using PostgresServer server = await StartAsync();
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, CancellationToken.None);
        BackupInfo first = await BackupAsync(server, repository);
        await server.ExecuteAsync("SELECT pg_switch_wal()");

        string[] before = [.. Envelopes()];
        repository = await RenewAsync(key);
        string envelope = Assert.Single(Envelopes(), name => !before.Contains(name));
        await server.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1000)");
        await using (RunningReceiver receiver = RunningReceiver.Start(server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "other" }))
        {
            await receiver.FlushedAsync(Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text")));
        }

        BackupInfo second = await BackupAsync(server, repository);
        await server.ExecuteAsync("SELECT pg_switch_wal()");

        // Two renewals that did not know of each other, so that the third key does not hang on the second.
        byte[] hidden = _store[envelope];
        await _store.DeleteAsync(envelope, CancellationToken.None);
        await RenewAsync(key);
        _store[envelope] = hidden;
        repository = await Repository.OpenAsync(_store, key, CancellationToken.None);
        BackupInfo third = await BackupAsync(server, repository);
        BackupInfo fourth = await BackupAsync(server, repository, full: true);
        Assert.Equal(["Full", "Incremental", "Incremental", "Full"], new[] { first.Kind, second.Kind, third.Kind, fourth.Kind });
        // By their names: of two that began in the same second, the full one comes first.
        string[] all = [first.Id, second.Id, third.Id, fourth.Id];
        Assert.Equal(all.Order(StringComparer.Ordinal), (await ListAsync(repository)).Windows.Select(static window => window.BackupId));

        // What was encrypted with the second key cannot be opened any more, wherever it lies: also what the third backup took over.
        await _store.DeleteAsync(envelope, CancellationToken.None);
        repository = await Repository.OpenAsync(_store, key, CancellationToken.None);
        (List<RecoveryWindow> windows, RecordingObserver observer) = await ListAsync(repository);

        Assert.Equal([first.Id, fourth.Id], windows.Select(static window => window.BackupId));
        Assert.NotNull(windows[0].Gap);
        Assert.True(Lsn.Parse(windows[0].LatestLsn) <= Lsn.Parse(second.StartLsn!));
        Assert.Contains(observer.Warnings, text => text.Contains(second.Id, StringComparison.Ordinal));
        Assert.Contains(observer.Warnings, text => text.Contains(third.Id, StringComparison.Ordinal));
        Assert.Contains(observer.Warnings, text => text.Contains($"'{first.Id}' ends at", StringComparison.Ordinal));
    }

    private IEnumerable<string> Envelopes() => _store.Keys.Where(
        static name => name.StartsWith("keys/", StringComparison.Ordinal) && !name.EndsWith("canary", StringComparison.Ordinal));

    private async Task<Repository> RenewAsync(RepositoryKeySource key)
    {
        await RepositoryRecipients.RenewAsync(_store, [key], CancellationToken.None);
        return await Repository.OpenAsync(_store, key, CancellationToken.None);
    }

    private static Task<PostgresServer> StartAsync() => PostgresServer.StartAsync(new PostgresServerOptions
    {
        Fsync = false,
        WalSegmentMegabytes = 1,
        Settings = new Dictionary<string, string> { ["track_commit_timestamp"] = "on", ["wal_keep_size"] = "64MB", ["autovacuum"] = "off" },
    });

    private static Task<BackupInfo> BackupAsync(PostgresServer server, Repository repository, bool full = false) => BaseBackup.RunAsync(
        server.CreateConnector(), repository, new BaseBackupOptions { Slot = "smcdr", Full = full }, NullObserver.Instance, CancellationToken.None);

    private static async Task<RecoveryWindow> NewestAsync(PostgresConnector connector, Repository repository) =>
        (await WalWindows.ListAsync(repository, connector, null, s_patience, NullObserver.Instance, CancellationToken.None))[^1];

    private static async Task<(List<RecoveryWindow> Windows, RecordingObserver Observer)> ListAsync(Repository repository)
    {
        RecordingObserver observer = new();
        List<RecoveryWindow> windows = [];
        await foreach (RecoveryWindow window in WalWindows.ListAsync(repository, observer, CancellationToken.None))
        {
            windows.Add(window);
        }

        return (windows, observer);
    }
}
