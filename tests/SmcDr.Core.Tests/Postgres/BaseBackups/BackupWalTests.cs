using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>Base backups whose WAL comes into the repository as it does in use.</summary>
public sealed class BackupWalTests
{
    private const string Slot = "smcdr";

    [Fact]
    public async Task RunAsync_WithoutStream_ReceivesItsWalAndIsRecoverableFromTheRepositoryAlone()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS b FROM generate_series(1, 50000) i");
        using CancellationTokenSource enough = new();
        Task writer = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                await lab.Server.ExecuteAsync("UPDATE t SET b = md5(b) WHERE i % 100 = 7");
            }
        });

        BackupInfo info = await BaseBackup.RunAsync(
            lab.Server.CreateConnector(), lab.Repository, new BaseBackupOptions { Slot = Slot }, NullObserver.Instance, CancellationToken.None);

        await enough.CancelAsync();
        await writer;
        WalCoverage coverage = await CoverageAsync(lab, info);
        Assert.True(coverage.EndLsn >= Lsn.Parse(info.StopLsn!));
        Assert.Null(coverage.Gap);
        Assert.Equal(0L, await lab.Server.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots"));

        string archive = lab.NewServerDirectory();
        WalArchive wal = new(lab.Repository, ulong.Parse(info.SystemId!, System.Globalization.CultureInfo.InvariantCulture));
        foreach (WalItem item in coverage.Items)
        {
            string path = Path.Combine(archive, item.Name.ToString());
            await wal.FetchAsync(item, path, CancellationToken.None);
            PostgresPrograms.GiveToServer(path);
        }

        string target = lab.NewPath();
        await lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = target });
        await using PostgresServer restored = await lab.RecoverAsync(target, archive);
        Assert.Equal(50000L, await restored.ScalarAsync<long>("SELECT count(*) FROM t"));
        await restored.StopAsync();
        await PostgresPrograms.RunAsync("pg_checksums", ["--check", "-D", target]);
    }

    [Fact]
    public async Task RunAsync_SessionLostBetweenTwoCommands_IsAForeseenError()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => BaseBackup.RunAsync(
            lab.Server.CreateConnector(),
            lab.Repository,
            new BaseBackupOptions { Slot = Slot },
            NullObserver.Instance,
            async (request, session, token) =>
            {
                await session.CloseAsync();
                return await BackupWal.OpenAsync(request, session, token);
            },
            TimeSpan.FromSeconds(10),
            CancellationToken.None));
        Assert.Equal(SmcErrorCode.ServerUnavailable, error.Code);
    }

    [Fact]
    public async Task RunAsync_WithRunningStream_WaitsForItsWalAndNeedsNoReplicationPrivilege()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await GrantAsync(lab);
        using CancellationTokenSource stop = new();
        WalReceiver receiver = new(
            lab.Server.CreateConnector(), lab.Repository, new WalReceiverOptions { Slot = Slot, FlushInterval = TimeSpan.FromMilliseconds(100) }, NullObserver.Instance);
        Task running = receiver.RunAsync(null, stop.Token);
        await BackupLab.UntilAsync(() => lab.Server.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE active)"));
        RecordingObserver observer = new();

        BackupInfo info = await BaseBackup.RunAsync(
            Connector(lab), lab.Repository, new BaseBackupOptions { Slot = Slot }, observer, CancellationToken.None);

        Assert.Contains(observer.Verboses, static text => text.Contains("slot 'smcdr' runs", StringComparison.Ordinal));
        Assert.True((await CoverageAsync(lab, info)).EndLsn >= Lsn.Parse(info.StopLsn!));
        await stop.CancelAsync();
        await running;

        // Without the stream the same role lacks something, and it is named before a byte is copied.
        await BackupLab.UntilAsync(() => lab.Server.ScalarAsync<bool>("SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE active)"));
        SmcException missing = await Assert.ThrowsAsync<SmcException>(() => BaseBackup.RunAsync(
            Connector(lab), lab.Repository, new BaseBackupOptions { Slot = Slot }, NullObserver.Instance, CancellationToken.None));
        Assert.Equal(SmcErrorCode.PrivilegeMissing, missing.Code);
        Assert.Contains("ALTER ROLE \"limited\" REPLICATION", missing.Recommendation, StringComparison.Ordinal);
        Assert.Single(await lab.BackupObjectsAsync(), static key => key.EndsWith("/started", StringComparison.Ordinal));

        await lab.Server.ExecuteAsync("ALTER ROLE limited REPLICATION");
        await BaseBackup.RunAsync(Connector(lab), lab.Repository, new BaseBackupOptions(), NullObserver.Instance, CancellationToken.None);
    }

    [Fact]
    public async Task RunAsync_StreamThatStoresNothing_TimesOutAndSaysHowFarItIs()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        // A stream that is there and stores elsewhere.
        string elsewhere = Directory.CreateTempSubdirectory("smcdr-test-").FullName;
        Repository other = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(elsewhere), CancellationToken.None);
        using CancellationTokenSource stop = new();
        WalReceiver receiver = new(lab.Server.CreateConnector(), other, new WalReceiverOptions { Slot = Slot }, NullObserver.Instance);
        Task running = receiver.RunAsync(null, stop.Token);
        await BackupLab.UntilAsync(() => lab.Server.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE active)"));

        SmcException late = await Assert.ThrowsAsync<SmcException>(() => BaseBackup.RunAsync(
            lab.Server.CreateConnector(),
            lab.Repository,
            new BaseBackupOptions { Slot = Slot, WalTimeout = TimeSpan.FromSeconds(1) },
            NullObserver.Instance,
            CancellationToken.None));

        Assert.Equal(SmcErrorCode.WalTimeout, late.Code);
        Assert.Contains("slot 'smcdr'", late.Message, StringComparison.Ordinal);
        Assert.Empty(await lab.BackupObjectsAsync());
        await stop.CancelAsync();
        await running;
        Directory.Delete(elsewhere, recursive: true);
    }

    private static Task<WalCoverage> CoverageAsync(BackupLab lab, BackupInfo info) =>
        new WalArchive(lab.Repository, ulong.Parse(info.SystemId!, System.Globalization.CultureInfo.InvariantCulture))
            .GetCoverageAsync((uint)info.Timeline!.Value, Lsn.Parse(info.StartLsn!), null, CancellationToken.None);

    private static PostgresConnector Connector(BackupLab lab) => new(
        new NpgsqlConnectionStringBuilder(lab.Server.ConnectionString) { Username = "limited" }.ConnectionString,
        static _ => ValueTask.FromResult<string?>("geheim"));

    private static Task<int> GrantAsync(BackupLab lab) => lab.Server.ExecuteAsync(
        """
        CREATE ROLE limited LOGIN PASSWORD 'geheim';
        GRANT pg_read_all_settings TO limited;
        GRANT EXECUTE ON FUNCTION
            pg_catalog.pg_backup_start(text, boolean), pg_catalog.pg_backup_stop(boolean),
            pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean),
            pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO limited;
        """);
}
