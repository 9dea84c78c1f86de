using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Npgsql;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using PostgresPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Regions;

/// <summary>
/// A site with two regions on this host: a primary, a repository with a base backup and a stream, and a place for a standby. All of smcdr runs as the
/// server's account
/// and as a program of its own, as a standby's restore_command does.
/// </summary>
internal sealed class RegionLab : IAsyncDisposable
{
    public const string Site = "regions";
    private const string PasswordVariable = "SMCDR_TEST_REGION_PASSWORD";

    // What Route 53 is used with, where a site has DNS.
    private readonly Dictionary<string, string> _environment = new() { ["AWS_ACCESS_KEY_ID"] = "smcdr-tests", ["AWS_SECRET_ACCESS_KEY"] = "smcdr-tests" };
    private readonly List<SmcdrProcess> _processes = [];
    private SmcdrProcess? _stream;

    private RegionLab(PostgresServer primary)
    {
        Primary = primary;
        _environment[PasswordVariable] = primary.Password;
        WestPort = PostgresServer.FreePort();
        Repository = $"file://{Root}/repository";
    }

    /// <summary>The database of the region east, which leads at first.</summary>
    public PostgresServer Primary { get; }

    public string Root { get; } = PostgresPrograms.CreateDirectory();

    public string SitePath => Path.Combine(Root, "smcdr.yaml");

    /// <summary>The location of the repository, as site files that are written from then on have it.</summary>
    public string Repository { get; set; }

    /// <summary>The data directory of the region west.</summary>
    public string WestDirectory => Path.Combine(Root, "west");

    public int WestPort { get; }

    public string EastConnection => $"{Primary.ConnectionString};Password={Primary.Password};Pooling=false";

    public string WestConnection =>
        $"Host=127.0.0.1;Port={WestPort};Username=postgres;Database=postgres;SSL Mode=Disable;Password={Primary.Password};Pooling=false";

    /// <param name="extra">What else the site file says, as YAML.</param>
    /// <param name="hints">Whether changes of hint bits are in the WAL, without which nothing can be rewound.</param>
    public static async Task<RegionLab> StartAsync(string extra = "", bool hints = true)
    {
        PostgresServer primary = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            DataChecksums = hints,
            Settings = new Dictionary<string, string>
            {
                ["min_wal_size"] = "2MB", ["max_wal_size"] = "4MB", ["autovacuum"] = "off", ["wal_log_hints"] = hints ? "on" : "off",
            },
        });
        RegionLab lab = new(primary);
        try
        {
            await primary.ExecuteAsync("CREATE TABLE t (id bigserial PRIMARY KEY, v text)");
            await primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 2000) i");
            await lab.WriteSiteAsync("east", extra);
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    /// <summary>A lab with a base backup, a stream, and a standby that follows.</summary>
    public static async Task<RegionLab> StartWithStandbyAsync(string extra = "", bool hints = true)
    {
        RegionLab lab = await StartAsync(extra, hints);
        try
        {
            await lab.SucceedAsync("backup", "database");
            lab.StartStream();
            await lab.SucceedAsync(lab.InitArguments());
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    public string[] InitArguments(params string[] more) => ["region", "init", "--yes", "--json", .. more];

    /// <summary>Writes the site file: what is primary in it, what else it says, and what else a region has.</summary>
    public Task WriteSiteAsync(string primary, string extra = "", Func<string, string>? more = null) =>
        File.WriteAllTextAsync(SitePath, Describe(primary, extra, more, Primary.Port, Primary.DataDirectory));

    /// <summary>Writes the site file of another host: it reaches the region east at another port, and has nothing of it.</summary>
    /// <param name="eastPort">That port.</param>
    /// <param name="more">What else a region has.</param>
    /// <param name="eastDatabase">What else the database of the region east has.</param>
    /// <param name="extra">What else the site file says.</param>
    public async Task<string> WriteDistantSiteAsync(
        int eastPort, Func<string, string>? more = null, string? eastDatabase = null, string extra = "")
    {
        string path = Path.Combine(Root, "distant.yaml");
        await File.WriteAllTextAsync(path, Describe("east", extra, more, eastPort, null, eastDatabase: eastDatabase));
        return path;
    }

    /// <summary>
    /// Writes the site file of two hosts, the same for both: its data directories lie below the home directory, and each host has another one. Of
    /// <see cref="EastHome"/> that is the directory of the region east, of <see cref="Root"/> that of the region west.
    /// </summary>
    public Task WriteHostsSiteAsync() => File.WriteAllTextAsync(SitePath, Describe("east", "", null, Primary.Port, "~/data", "~/west"));

    /// <summary>The home directory on the host of the region east.</summary>
    public string EastHome => Primary.RootDirectory;

    private string Describe(
        string primary,
        string extra,
        Func<string, string>? more,
        int eastPort,
        string? eastDirectory,
        string? westDirectory = null,
        string? eastDatabase = null)
    {
        string More(string region) => more is null ? "" : "\n    " + more(region);
        string directory = (eastDirectory is null ? "" : $"\n      dataDirectory: {eastDirectory}") + (eastDatabase is null ? "" : $"\n      {eastDatabase}");
        string connection = new NpgsqlConnectionStringBuilder(Primary.ConnectionString) { Port = eastPort }.ConnectionString;
        return $"""
            name: {Site}
            repository:
              location: "{Repository}"
            regions:
              east:
                role: {(primary == "east" ? "primary" : "standby")}
                endpoint: east.example.test{More("east")}
                database:
                  connection: "{connection}"
                  password: env:{PasswordVariable}{directory}
                  binDirectory: {PostgresPrograms.BinDirectory}
              west:
                role: {(primary == "west" ? "primary" : "standby")}
                endpoint: west.example.test{More("west")}
                database:
                  connection: "Host=127.0.0.1;Port={WestPort.ToString(CultureInfo.InvariantCulture)};Username=postgres;Database=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}
                  dataDirectory: {westDirectory ?? WestDirectory}
                  binDirectory: {PostgresPrograms.BinDirectory}
            {extra}
            """;
    }

    public SmcdrProcess Start(params string[] arguments) => StartOn(null, arguments);

    /// <summary>Starts it on one of two hosts, which differ in their home directories.</summary>
    public SmcdrProcess StartOn(string? home, params string[] arguments)
    {
        string[] site = arguments.Contains("--site") ? [] : ["--site", SitePath];
        Dictionary<string, string> environment = home is null ? _environment : new(_environment) { ["HOME"] = home };
        SmcdrProcess process = SmcdrProcess.Start(environment, PostgresPrograms.OsUser, [.. site, .. arguments]);
        _processes.Add(process);
        return process;
    }

    public Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) => Start(arguments).EndAsync();

    public Task<JsonElement> SucceedAsync(params string[] arguments) => SucceedOnAsync(null, arguments);

    public async Task<JsonElement> SucceedOnAsync(string? home, params string[] arguments)
    {
        string[] all = arguments.Contains("--json") ? arguments : [.. arguments, "--json"];
        (int exitCode, string output, string error) = await StartOn(home, all).EndAsync();
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)} ended with {exitCode}: {error}\n{output}");
        return JsonDocument.Parse(output).RootElement.Clone();
    }

    /// <summary>Begins the stream of the region that leads.</summary>
    public SmcdrProcess StartStream() => _stream = Start("wal", "stream");

    /// <summary>Ends the stream that was begun, and begins one of the region that leads now, as a supervisor does.</summary>
    public async Task RestartStreamAsync()
    {
        // Unless the test has killed it, what it ended by is that another region leads, and nothing else: a gap in the archive would be one in what can be
        // restored.
        const int Killed = 128 + 9;
        if (_stream is { } former && !await former.KillAsync() && await former.EndAsync() is (not Killed, _, string error))
        {
            Assert.Contains(SmcErrors.Get(SmcErrorCode.Fenced).ErrorId, error, StringComparison.Ordinal);
        }

        StartStream();
    }

    /// <summary>Starts the standby by hand, with the environment that its restore_command needs.</summary>
    public async Task StartWestAsync()
    {
        Core.Recovery.PostgresPrograms programs = await Core.Recovery.PostgresPrograms.FindAsync(PostgresPrograms.BinDirectory, null, default);
        Environment.SetEnvironmentVariable(PasswordVariable, Primary.Password);
        await new HostServer(programs, WestDirectory, PostgresPrograms.OsUser).StartAsync(null, null, TimeSpan.FromMinutes(2), default);
    }

    /// <summary>The objects in the journals of plans, in order.</summary>
    public string[] FindJournal() => Directory.Exists(Path.Combine(Root, "repository", "journal"))
        ? [.. Directory.GetFiles(Path.Combine(Root, "repository", "journal"), "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)]
        : [];

    public async Task<JsonElement> LookAsync(string region) => (await SucceedAsync("region", "list", "--region", region))[0];

    /// <summary>Waits until the standby streams. Where it does not come to this, the failure shows what the standby said and what its fetches remember.</summary>
    public async Task UntilWestStreamsAsync(string what)
    {
        string last = "";
        try
        {
            await UntilAsync(
                async () =>
                {
                    JsonElement west = await LookAsync("west");
                    last = west.GetRawText();
                    return west.GetProperty("replication").GetString() == "Streaming";
                },
                what);
        }
        catch (Xunit.Sdk.XunitException e)
        {
            throw new Xunit.Sdk.XunitException($"{e.Message}\n{await DescribeWestAsync()}\n{last}", e);
        }
    }

    /// <summary>What the standby said, and what its fetches remember.</summary>
    public async Task<string> DescribeWestAsync()
    {
        string notes = Path.Combine(WestDirectory, "pg_wal", Core.Regions.StreamNotes.FileName);
        // Each segment is several lines of no interest.
        IEnumerable<string> log = (await File.ReadAllLinesAsync(WestDirectory + ".log"))
            .Where(static line => !line.Contains("restored log file", StringComparison.Ordinal) && !line.Contains("restart", StringComparison.Ordinal) &&
                !line.Contains("Last completed", StringComparison.Ordinal));
        return $"{(File.Exists(notes) ? await File.ReadAllTextAsync(notes) : "no notes")}\n{string.Join('\n', log.TakeLast(60))}";
    }

    public Task<T> AskWestAsync<T>(string sql) => AskAsync<T>(WestConnection, sql);

    public static async Task<T> AskAsync<T>(string connectionString, string sql)
    {
        await using NpgsqlConnection connection = new(connectionString);
        await connection.OpenAsync();
        await using NpgsqlCommand command = new(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Keeps the standby from its primary: new connections for replication are refused. Those that there are go on, but for the standby's.</summary>
    /// <returns>What is given to <see cref="JoinStandbyAsync"/>.</returns>
    public async Task<string> CutStandbyAsync()
    {
        string access = Path.Combine(Primary.DataDirectory, "pg_hba.conf");
        string before = await File.ReadAllTextAsync(access);
        await File.WriteAllTextAsync(access, "host replication all all reject\n" + before);
        await Primary.ExecuteAsync("SELECT pg_reload_conf()");
        await UntilAsync(
            async () =>
            {
                await Primary.ExecuteAsync("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'smcdr_regions_west' " +
                    "AND active");
                return await Primary.ScalarAsync<bool>("SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'smcdr_regions_west'");
            },
            "the standby is cut off");
        return before;
    }

    /// <summary>Lets standbys of a primary that does not run come back, once it does.</summary>
    public Task JoinAfterKillAsync(string before) => File.WriteAllTextAsync(Path.Combine(Primary.DataDirectory, "pg_hba.conf"), before);

    /// <summary>Lets the standby come back.</summary>
    public async Task JoinStandbyAsync(string before)
    {
        await File.WriteAllTextAsync(Path.Combine(Primary.DataDirectory, "pg_hba.conf"), before);
        await Primary.ExecuteAsync("SELECT pg_reload_conf()");
    }

    /// <summary>The WAL in the repository, where that is a directory: names and digests.</summary>
    public Dictionary<string, string> ReadArchive() => new DirectoryInfo(Path.Combine(Root, "repository", "wal"))
        .EnumerateFiles("*", SearchOption.AllDirectories)
        .Where(static file => WalSegmentName.TryParse(file.Name.AsSpan(0, Math.Min(file.Name.Length, WalSegmentName.Length)), out _))
        .ToDictionary(static file => file.Name, static file => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file.FullName))));

    /// <summary>Where an object of WAL ends: whole segments, and pieces from one offset to another.</summary>
    public static Lsn EndOf(string name)
    {
        const int Size = 1 << 20;
        WalSegmentName segment = WalSegmentName.Parse(name[..WalSegmentName.Length]);
        return name.Length == WalSegmentName.Length
            ? segment.EndLsn(Size)
            : segment.StartLsn(Size) + uint.Parse(name.AsSpan(name.Length - 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }

    /// <summary>The ids of all rows.</summary>
    public static async Task<HashSet<long>> ReadIdsAsync(string connectionString)
    {
        await using NpgsqlConnection connection = new(connectionString);
        await connection.OpenAsync();
        await using NpgsqlCommand command = new("SELECT id FROM t", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        HashSet<long> ids = [];
        while (await reader.ReadAsync())
        {
            ids.Add(reader.GetInt64(0));
        }

        return ids;
    }

    /// <summary>The content of the table, in one number.</summary>
    public static Task<string> DigestAsync(string connectionString) => AskAsync<string>(
        connectionString, "SELECT count(*) || ' ' || coalesce(md5(string_agg(id || ':' || v, ',' ORDER BY id)), '') FROM t");

    /// <summary>Waits until two servers have the same in the table.</summary>
    public static Task UntilSameAsync(string one, string other) =>
        UntilAsync(async () => await DigestAsync(one) == await DigestAsync(other), "both have the same");

    /// <summary>Waits until something holds; what takes longer than anything here may is a failure.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(120), $"It did not come to this: {what}.");
            await Task.Delay(100);
        }
    }

    /// <summary>Waits until the repository has all that the primary has written.</summary>
    public async Task UntilArchivedAsync()
    {
        Lsn last = Lsn.Parse(await Primary.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
        await UntilAsync(
            async () => Lsn.Parse(await Primary.ScalarAsync<string>("SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = " +
                "'smcdr_regions'")) >= last,
            "the repository has the WAL");
    }

    /// <summary>Waits until the standby has as many rows as the primary.</summary>
    public Task UntilWestHasAsync(long rows) => UntilAsync(async () => await AskWestAsync<long>("SELECT count(*) FROM t") == rows, $"{rows} rows in west");

    public async ValueTask DisposeAsync()
    {
        foreach (SmcdrProcess process in _processes)
        {
            await process.KillAsync();
            process.Dispose();
        }

        if (Directory.Exists(WestDirectory))
        {
            Core.Recovery.PostgresPrograms programs = await Core.Recovery.PostgresPrograms.FindAsync(PostgresPrograms.BinDirectory, null, default);
            await new HostServer(programs, WestDirectory, PostgresPrograms.OsUser).EndAsync();
        }

        await Primary.DisposeAsync();
        Directory.Delete(Root, recursive: true);
    }
}
