using System.Globalization;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.Fixtures;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>Clusters recovered beside production, which must not notice (trap 42).</summary>
public sealed class SideInstanceTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    private static readonly (string Name, string Value)[] s_isolation =
    [
        ("archive_mode", "off"), ("primary_conninfo", ""), ("primary_slot_name", ""), ("listen_addresses", ""),
        ("max_logical_replication_workers", "0"), ("synchronous_standby_names", ""), ("cron.launch_active_jobs", "off"),
        ("logging_collector", "off"), ("ssl", "off"), ("huge_pages", "off"), ("restore_command", ""), ("recovery_target_xid", ""),
    ];

    [Fact]
    public async Task ExecuteAsync_Isolated_TouchesNothingOfProduction_HoweverItIsStarted_Trap42()
    {
        await using RecoveryPlace place = world.NewPlace();
        string archived = await File.ReadAllTextAsync(world.ArchivedMarker);
        RecoveryRequest request = Isolated(place, RecoveryTarget.AtTime(world.Timeline[2].Time)) with
        {
            // Isolation is not for settings to take back.
            Settings = new Dictionary<string, string> { ["archive_mode"] = "on", ["work_mem"] = "5MB" },
        };

        RecoveryResult result = await RecoveryPlace.RecoverAsync(request);

        Assert.True(result.ServerRunning);
        Assert.Equal((place.Data, 5999), (result.Host, result.Port));
        string location = Directory.GetDirectories(place.Data + ".tablespaces").Single();
        Assert.Equal(location, new FileInfo(Directory.GetFileSystemEntries(Path.Combine(place.Data, "pg_tblspc")).Single()).LinkTarget);
        Assert.Equal("5MB", await ScalarAsync(place, "SELECT current_setting('work_mem')"));
        await AssertIsolatedAsync(place);
        Assert.Equal(
            (RecoveryWorld.RowsInBackup + 3).ToString(CultureInfo.InvariantCulture),
            await ScalarAsync(place, "SELECT count(*)::text FROM public.t JOIN public.s USING (id)"));

        // Somebody starts it again by hand, and its configuration asks for standbys that will never answer.
        HostServer server = await ServerAsync(place);
        await server.StopAsync(StopMode.Fast, null, default);
        await File.AppendAllTextAsync(
            Path.Combine(place.Data, "postgresql.conf"),
            "synchronous_standby_names = 'nobody'\narchive_mode = on\nlisten_addresses = '*'\nhba_file = '/nowhere'\nport = 1\n");
        await server.StartAsync(null, null, TimeSpan.FromSeconds(60), default);
        await AssertIsolatedAsync(place);
        await ScalarAsync(place, "CREATE TABLE public.written AS SELECT 1 AS one; SELECT pg_catalog.pg_switch_wal()::text");
        await server.StopAsync(StopMode.Fast, null, default);
        Assert.Equal(archived, await File.ReadAllTextAsync(world.ArchivedMarker));
        Assert.False(File.Exists(Path.Combine(world.Root, "recovery-end-command-ran")));
    }

    [Fact]
    public async Task PlanAsync_Isolated_NewerTablespaceOfARunningServer_IsRefused_Trap12()
    {
        await using RecoveryPlace production = world.NewPlace();
        await using RecoveryPlace place = world.NewPlace();
        await RecoveryPlace.RecoverAsync(production.Request());
        string location = Path.Combine(production.Root, "late");
        Directory.CreateDirectory(location);
        TestPrograms.GiveToServer(location);
        await using (NpgsqlConnection connection = await production.OpenAsync())
        {
            await using NpgsqlCommand command = new($"CREATE TABLESPACE late LOCATION '{location}'", connection);
            await command.ExecuteNonQueryAsync();
        }

        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => DatabaseRecovery.PlanAsync(Isolated(place), NullObserver.Instance, default));

        Assert.Equal((SmcErrorCode.TargetUnsuitable, location), (e.Code, e.Target));
    }

    [Fact]
    public async Task PlanAsync_Isolated_PathTooLongForASocket_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseRecovery.PlanAsync(
            Isolated(place) with { DataDirectory = Path.Combine(place.Root, new string('x', 100)) }, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
    }

    [Fact]
    public async Task FindAsync_LibrariesThatTheHostLacks_AreLeftOut_Trap13()
    {
        await using RecoveryPlace place = world.NewPlace();
        await RecoveryPlace.RecoverAsync(Isolated(place) with { KeepRunning = false });
        HostServer server = await ServerAsync(place);
        Assert.Null(await PreloadLibraries.FindAsync(server, default));
        await File.AppendAllTextAsync(Path.Combine(place.Data, "postgresql.conf"), "shared_preload_libraries = 'no_such_library, libpqwalreceiver'\n");

        (string value, IReadOnlyList<string> missing) = (await PreloadLibraries.FindAsync(server, default))!.Value;

        Assert.Equal("libpqwalreceiver", value);
        Assert.Equal(["no_such_library"], missing);
    }

    [Fact]
    public async Task StartAsync_ShowsTheInstant_ReadOnly_AndDisposeLeavesNothing()
    {
        string work = WorkDirectory();
        SideInstance instance = await SideInstance.StartAsync(Options(work) with { Target = RecoveryTarget.AtName(world.Timeline[1].Name) }, NullObserver.Instance, default);
        string data = instance.SocketDirectory;
        await using (instance)
        {
            await using NpgsqlConnection connection = await instance.Connector.WithDatabase("postgres").OpenAsync(default);
            await using NpgsqlCommand count = new("SELECT count(*) FROM public.t", connection);
            Assert.Equal((long)RecoveryWorld.RowsInBackup + 2, await count.ExecuteScalarAsync());
            await using NpgsqlCommand write = new("DELETE FROM public.t", connection);
            PostgresException refused = await Assert.ThrowsAsync<PostgresException>(() => write.ExecuteNonQueryAsync());
            Assert.Equal("25006", refused.SqlState);

            // Another process that begins meanwhile leaves it alone.
            Assert.Equal(0, await SideInstance.SweepAsync(work, TestPrograms.BinDirectory, NullObserver.Instance, default));
            Assert.True(HostServer.IsRunning(data));
        }

        Assert.False(HostServer.IsRunning(data));
        Assert.Empty(Directory.GetFileSystemEntries(work));
    }

    [Fact]
    public async Task StartAsync_CannotBeRecovered_LeavesNothing()
    {
        string work = WorkDirectory();

        await Assert.ThrowsAsync<SmcException>(() => SideInstance.StartAsync(
            Options(work) with { Target = RecoveryTarget.AtName("no such point") }, NullObserver.Instance, default));

        Assert.Empty(Directory.GetFileSystemEntries(work));
    }

    [Fact]
    public async Task SweepAsync_LeftByAProcessThatWasKilled_IsStoppedAndRemoved_AndOthersAreNot()
    {
        string work = WorkDirectory();
        string root = Path.Combine(work, SideInstance.Prefix + "0123456789ab");
        Directory.CreateDirectory(root);
        await using RecoveryPlace place = world.NewPlace();
        string data = Path.Combine(root, "data");
        await RecoveryPlace.RecoverAsync(Isolated(place) with { DataDirectory = data });
        await File.WriteAllTextAsync(Path.Combine(root, "lock"), "");
        string other = Path.Combine(work, SideInstance.Prefix + "precious");
        Directory.CreateDirectory(other);
        await File.WriteAllTextAsync(Path.Combine(other, "file"), "x");
        Assert.True(HostServer.IsRunning(data));

        Assert.Equal(1, await SideInstance.SweepAsync(work, TestPrograms.BinDirectory, NullObserver.Instance, default));

        Assert.False(HostServer.IsRunning(data));
        Assert.Equal(other, Assert.Single(Directory.GetFileSystemEntries(work)));
    }

    private static RecoveryRequest Isolated(RecoveryPlace place, RecoveryTarget? target = null) => place.Request(target) with
    {
        Tablespaces = new Dictionary<string, string>(),
        Settings = new Dictionary<string, string>(),
        Isolation = new ServerIsolation { Port = 5999 },
    };

    private static async Task AssertIsolatedAsync(RecoveryPlace place)
    {
        foreach ((string name, string value) in s_isolation)
        {
            Assert.Equal((name, value), (name, await ScalarAsync(place, $"SELECT coalesce(current_setting('{name}', true), '')")));
        }

        Assert.Equal(Path.Combine(place.Data, "smcdr_side_hba.conf"), await ScalarAsync(place, "SELECT current_setting('hba_file')"));
        Assert.Equal("f", await ScalarAsync(place, "SELECT pg_catalog.left(pg_catalog.pg_is_in_recovery()::text, 1)"));
    }

    private static async Task<string> ScalarAsync(RecoveryPlace place, string sql)
    {
        await using NpgsqlConnection connection = new($"Host={place.Data};Port=5999;Username=postgres;Database=postgres;Pooling=false;Timeout=30");
        await connection.OpenAsync();
        await using NpgsqlCommand command = new(sql, connection);
        return (string)(await command.ExecuteScalarAsync())!;
    }

    private static async Task<HostServer> ServerAsync(RecoveryPlace place) => new(
        await SmcDr.Core.Recovery.PostgresPrograms.FindAsync(TestPrograms.BinDirectory, null, default), place.Data, TestPrograms.OsUser,
        Path.Combine(place.Root, "hand.log"));

    private string WorkDirectory()
    {
        string path = Path.Combine(world.Root, Guid.NewGuid().ToString("N")[..6]);
        Directory.CreateDirectory(path);
        TestPrograms.GiveToServer(path);
        return path;
    }

    private SideInstanceOptions Options(string work) => new()
    {
        Repository = world.Repository,
        WorkDirectory = work,
        BinDirectory = TestPrograms.BinDirectory,
        OsUser = TestPrograms.OsUser,
    };
}
