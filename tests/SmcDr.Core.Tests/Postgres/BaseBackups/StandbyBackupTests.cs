using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.Wal;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>Base backups of a real streaming standby.</summary>
public sealed class StandbyBackupTests
{
    private const string Slot = "smcdr";

    [Fact]
    public async Task RunAsync_StandbyUnderLoad_RecoversFromTheStreamOfThePrimaryAndDoesNotComeUpAsAStandby_Trap11()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS b FROM generate_series(1, 50000) i");
        await using PostgresServer standby = await FollowAsync(lab);
        await using RunningReceiver receiver = RunningReceiver.Start(
            lab.Server.CreateConnector(), lab.Repository, RunningReceiver.Quick with { Slot = Slot });
        await BackupLab.UntilAsync(() => lab.Server.ScalarAsync<bool>(
            $"SELECT EXISTS (SELECT FROM pg_replication_slots WHERE active AND slot_name = '{Slot}')"));
        using CancellationTokenSource enough = new();
        Task writer = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                await lab.Server.ExecuteAsync("UPDATE t SET b = md5(b) WHERE i % 100 = 7");
            }
        });
        RecordingObserver observer = new();

        BackupInfo info = await BaseBackup.RunAsync(
            standby.CreateConnector(),
            lab.Repository,
            new BaseBackupOptions { Slot = Slot, Primary = lab.Server.CreateConnector() },
            observer,
            CancellationToken.None);

        await enough.CancelAsync();
        await writer;
        await receiver.FlushedAsync(Lsn.Parse(await lab.Server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text")));
        Assert.Contains(observer.Verboses, static text => text.Contains($"slot '{Slot}' runs", StringComparison.Ordinal));
        (BackupReader reader, Manifest manifest) = await lab.OpenAsync(info.Id);
        Assert.True(reader.Header.Database!.FromStandby);
        Assert.Equal(0, reader.Header.Database.PageChecksumErrors);
        Assert.DoesNotContain(manifest.Entries, static entry => entry.Path == "standby.signal");

        await using PostgresServer restored = await RecoverAsync(lab, info);
        // What postgresql.auto.conf says of the primary is there, and moves nothing.
        Assert.Contains("host=127.0.0.1", await restored.ScalarAsync<string>("SHOW primary_conninfo"), StringComparison.Ordinal);
        Assert.Equal(0L, await restored.ScalarAsync<long>("SELECT count(*) FROM pg_stat_wal_receiver"));
        string sum = "SELECT md5(string_agg(b, '' ORDER BY i)) FROM t";
        Assert.Equal(await lab.Server.ScalarAsync<string>(sum), await restored.ScalarAsync<string>(sum));
        await restored.StopAsync();
        await PostgresPrograms.RunAsync("pg_checksums", ["--check", "-D", restored.DataDirectory]);
    }

    [Fact]
    public async Task RunAsync_PrimaryThatIsIdleOrGone_IsNotNeededForTheStopPosition_Trap11()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
        await using PostgresServer standby = await FollowAsync(lab);
        await CaughtUpAsync(lab.Server, standby);
        BaseBackupOptions options = new() { Slot = Slot, Primary = lab.Server.CreateConnector(), WalTimeout = TimeSpan.FromSeconds(60) };

        BackupInfo idle = await BaseBackup.RunAsync(
            standby.CreateConnector(), lab.Repository, options, NullObserver.Instance, CancellationToken.None);
        await lab.Server.StopAsync();
        BackupInfo gone = await BaseBackup.RunAsync(
            standby.CreateConnector(), lab.Repository, options, NullObserver.Instance, CancellationToken.None);

        Assert.Equal(("Full", "Incremental"), (idle.Kind, gone.Kind));
        await using PostgresServer restored = await RecoverAsync(lab, gone);
        Assert.Equal(1000L, await restored.ScalarAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task RunAsync_StandbyPromotedDuringTheBackup_FailsAndLeavesNoBackup_Trap11()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await using PostgresServer standby = await FollowAsync(lab);
        SmcException failed = await Assert.ThrowsAsync<SmcException>(() => BaseBackup.RunAsync(
            standby.CreateConnector(),
            lab.Repository,
            new BaseBackupOptions { Slot = Slot },
            NullObserver.Instance,
            async (request, session, token) =>
            {
                Assert.True(await standby.ScalarAsync<bool>("SELECT pg_promote()"));
                return await BackupWal.OpenAsync(request, session, token);
            },
            TimeSpan.FromHours(1),
            CancellationToken.None));

        Assert.Equal(SmcErrorCode.BackupInterrupted, failed.Code);
        Assert.Contains("was promoted during the backup", failed.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(await lab.BackupObjectsAsync(), static key => key.EndsWith("/complete", StringComparison.Ordinal));

        // Of what it is now, a backup is fine.
        Assert.Equal("Complete", (await BaseBackup.RunAsync(
            standby.CreateConnector(), lab.Repository, new BaseBackupOptions(), NullObserver.Instance, CancellationToken.None)).State);
    }

    [Fact]
    public async Task RunAsync_PrimaryWithoutFullPageWrites_IsRefusedWithWhatToSetThere_Trap11()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await using PostgresServer standby = await FollowAsync(lab);
        await lab.Server.ExecuteAsync("ALTER SYSTEM SET full_page_writes = off");
        await lab.Server.ExecuteAsync("SELECT pg_reload_conf()");
        await BackupLab.UntilAsync(() => lab.Server.ScalarAsync<bool>("SELECT current_setting('full_page_writes') = 'off'"));
        // The checkpointer writes the change into the WAL in its own time, before the checkpoint at the latest.
        await lab.Server.ExecuteAsync("CHECKPOINT");
        await CaughtUpAsync(lab.Server, standby);

        SmcException refused = await Assert.ThrowsAsync<SmcException>(() => BaseBackup.RunAsync(
            standby.CreateConnector(), lab.Repository, new BaseBackupOptions(), NullObserver.Instance, CancellationToken.None));

        Assert.Equal(SmcErrorCode.SettingUnsuitable, refused.Code);
        Assert.Contains("ALTER SYSTEM SET full_page_writes = on", refused.Recommendation, StringComparison.Ordinal);
        Assert.DoesNotContain(await lab.BackupObjectsAsync(), static key => key.EndsWith("/complete", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_ParentOfAnotherServerInTheSamePlace_IsComparedAndItsFileTimesAreNotBelieved()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS b FROM generate_series(1, 20000) i");
        await lab.Server.ExecuteAsync("VACUUM FREEZE");
        string place = lab.NewPath();
        await using (PostgresServer standby = await FollowAsync(lab, place))
        {
            await CaughtUpAsync(lab.Server, standby);
            foreach (string path in Directory.EnumerateFiles(Path.Combine(place, "base"), "*", SearchOption.AllDirectories))
            {
                File.SetLastWriteTimeUtc(path, new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc));
            }

            await lab.Server.ExecuteAsync("CHECKPOINT");
            await CaughtUpAsync(lab.Server, standby);
            await BackupAsync(standby, lab);
            BackupInfo trusting = await BackupAsync(standby, lab);
            Assert.Equal("Incremental", trusting.Kind);
            Assert.True(trusting.UnchangedFileCount > 0);
            await standby.StopAsync();
        }

        // Another copy of the primary in the same directory, whose file of the table has the old time and length, and other content.
        await lab.Server.ExecuteAsync("UPDATE t SET b = md5(b) WHERE i = 1");
        Directory.Delete(place, recursive: true);
        long second = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        // The status of a file counts in whole seconds.
        await BackupLab.UntilAsync(() => Task.FromResult(DateTimeOffset.UtcNow.ToUnixTimeSeconds() > second));
        await using PostgresServer rebuilt = await FollowAsync(lab, place);
        foreach (string path in Directory.EnumerateFiles(Path.Combine(place, "base"), "*", SearchOption.AllDirectories))
        {
            File.SetLastWriteTimeUtc(path, new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        }

        RecordingObserver observer = new();
        BackupInfo compared = await BackupAsync(rebuilt, lab, observer);

        Assert.Equal("Incremental", compared.Kind);
        Assert.Equal(0, compared.UnchangedFileCount);
        Assert.Contains(observer.Verboses, static text => text.StartsWith("Every file is compared", StringComparison.Ordinal));
    }

    private static Task<BackupInfo> BackupAsync(PostgresServer server, BackupLab lab, IOperationObserver? observer = null) => BaseBackup.RunAsync(
        server.CreateConnector(), lab.Repository, new BaseBackupOptions(), observer ?? NullObserver.Instance, CancellationToken.None);

    private static Task<PostgresServer> FollowAsync(BackupLab lab, string? path = null) => PostgresStandby.FollowAsync(lab.Server, path ?? lab.NewPath());

    private static async Task CaughtUpAsync(PostgresServer primary, PostgresServer standby)
    {
        string lsn = await primary.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text");
        await BackupLab.UntilAsync(() => standby.ScalarAsync<bool>($"SELECT pg_last_wal_replay_lsn() >= '{lsn}'"));
    }

    /// <summary>Restores and recovers with nothing but what is in the repository.</summary>
    private static async Task<PostgresServer> RecoverAsync(BackupLab lab, BackupInfo info)
    {
        string archive = lab.NewServerDirectory();
        WalArchive wal = new(lab.Repository, ulong.Parse(info.SystemId!, CultureInfo.InvariantCulture));
        WalCoverage coverage = await wal.GetCoverageAsync((uint)info.Timeline!.Value, Lsn.Parse(info.StartLsn!), null, CancellationToken.None);
        Assert.True(coverage.EndLsn >= Lsn.Parse(info.StopLsn!));
        foreach (WalItem item in coverage.Items)
        {
            string path = Path.Combine(archive, item.Name.ToString());
            await wal.FetchAsync(item, path, CancellationToken.None);
            PostgresPrograms.GiveToServer(path);
        }

        string target = lab.NewPath();
        await lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = target });
        PostgresServer restored = await lab.RecoverAsync(target, archive);
        await BackupLab.UntilAsync(() => restored.ScalarAsync<bool>("SELECT NOT pg_is_in_recovery()"));
        return restored;
    }
}
