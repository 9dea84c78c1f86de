using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.Wal;
using SmcDr.Core.Tests.Redis;
using SmcDr.Core.Tests.Redis.Offline;

namespace SmcDr.Core.Tests.Systems;

/// <summary>A system of this host: a database, a Redis and a directory of files, with a site file, a repository and a WAL stream.</summary>
internal sealed class HostSystem : IAsyncDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("smcdr-system-").FullName;
    private readonly Dictionary<string, string> _more = [];
    private RunningReceiver? _stream;
    private string _copies = "";

    private HostSystem(PostgresServer database, RedisServer redis) => (Database, Redis) = (database, redis);

    public PostgresServer Database { get; }

    public RedisServer Redis { get; }

    public string SitePath => Path.Combine(_root, "smcdr.yaml");

    public string RepositoryPath => Path.Combine(_root, "repository");

    public string FilesPath => Path.Combine(_root, "files");

    /// <summary>What processes find in their environment, beside our own.</summary>
    public Dictionary<string, string> Environment => new(_more) { ["SMCDR_TEST_PASSWORD"] = Database.Password };

    /// <summary>Starts it, with rows, keys and files in it.</summary>
    /// <param name="rows">How many rows.</param>
    /// <param name="copy">Where its backups are copied to.</param>
    /// <param name="environment">What processes need besides.</param>
    public static async Task<HostSystem> StartAsync(int rows = 20000, string? copy = null, Dictionary<string, string>? environment = null)
    {
        HostSystem system = new(
            await PostgresServer.StartAsync(new PostgresServerOptions()),
            await RedisServer.StartAsync(new RedisServerOptions { Settings = new Dictionary<string, string> { ["appendonly"] = "yes" } }));
        system._copies = copy is null ? "" : $", copies: [ \"{copy}\" ]";
        foreach ((string name, string value) in environment ?? [])
        {
            system._more[name] = value;
        }

        try
        {
            Directory.CreateDirectory(system.FilesPath);
            await File.WriteAllTextAsync(Path.Combine(system.FilesPath, "limits.conf"), "limit = 10\n");
            await File.WriteAllTextAsync(system.SitePath, system.SiteText());
            await system.Database.ExecuteAsync($"CREATE TABLE trades AS SELECT i AS id, md5(i::text) AS payload FROM generate_series(1, {rows}) AS i");
            await system.Database.ExecuteAsync("SELECT pg_create_physical_replication_slot('smcdr_orders', true)");
            await system.Redis.ExecuteManyAsync([.. Enumerable.Range(1, 2000).Select(static i => new object[] { "SET", $"session:{i}", $"user {i}" })]);
            system._stream = RunningReceiver.Start(
                system.Database.CreateConnector(), await system.OpenAsync(), RunningReceiver.Quick with { Slot = "smcdr_orders" });
            return system;
        }
        catch
        {
            await system.DisposeAsync();
            throw;
        }
    }

    /// <summary>The repository, as another process sees it.</summary>
    public Task<Repository> OpenAsync() => Repository.OpenOrCreateAsync(new DirectoryObjectStore(RepositoryPath), CancellationToken.None);

    /// <summary>Runs smcdr as a process of its own.</summary>
    public Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) =>
        SmcdrProcess.RunAsync(Environment, ["--site", SitePath, .. arguments]);

    /// <summary>Runs smcdr, which must succeed, and gives what it wrote.</summary>
    public async Task<JsonElement> JsonAsync(params string[] arguments)
    {
        (int exitCode, string output, string error) = await RunAsync([.. arguments, "--json"]);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: exit code {exitCode}\n{error}{output}");
        return JsonDocument.Parse(output).RootElement;
    }

    /// <summary>Backs all of it up.</summary>
    public async Task<JsonElement> BackUpAsync() => await JsonAsync("system", "backup");

    /// <summary>Waits until all that is committed is in the repository.</summary>
    public async Task<Lsn> FlushAsync()
    {
        Lsn lsn = Lsn.Parse(await Database.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
        await _stream!.FlushedAsync(lsn);
        return lsn;
    }

    /// <summary>Ends the stream, kills both servers and removes all that they and the file store had.</summary>
    public async Task DestroyAsync()
    {
        await EndStreamAsync();
        await KillAsync();
        foreach (string directory in new[] { Database.DataDirectory, Redis.DataDirectory, FilesPath })
        {
            foreach (string entry in Directory.Exists(directory) ? Directory.GetFileSystemEntries(directory) : [])
            {
                if (Directory.Exists(entry))
                {
                    Directory.Delete(entry, recursive: true);
                }
                else
                {
                    File.Delete(entry);
                }
            }
        }
    }

    /// <summary>All rows by their ids, as one text.</summary>
    public Task<string> DigestAsync() => Database.ScalarAsync<string>(
        "SELECT count(*) || ' ' || min(id) || ' ' || max(id) || ' ' || md5(string_agg(t::text, '|' ORDER BY id)) FROM trades t");

    /// <summary>All keys of Redis with their values, as one text.</summary>
    public async Task<string> KeysAsync()
    {
        await using RedisTestClient client = await Redis.ConnectAsync();
        object?[] keys = (object?[])(await client.ExecuteAsync("KEYS", "*"))!;
        // A check that was killed leaves its probe, which expires.
        string[] names =
        [
            .. keys.Select(static key => System.Text.Encoding.UTF8.GetString((byte[])key!))
                .Where(static name => !name.StartsWith("smcdr:probe:", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
        ];
        object?[] values = await client.ExecuteManyAsync([.. names.Select(static name => new object[] { "GET", name })]);
        return string.Join('\n', names.Zip(values, static (name, value) => $"{name}={System.Text.Encoding.UTF8.GetString((byte[])value!)}"));
    }

    public async ValueTask DisposeAsync()
    {
        await EndStreamAsync();
        await KillAsync();
        await Database.DisposeAsync();
        await Redis.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    private async Task EndStreamAsync()
    {
        if (_stream is { } stream)
        {
            _stream = null;
            await stream.DisposeAsync();
        }
    }

    private async Task KillAsync()
    {
        Database.KillAny();
        await OfflineWorld.KillInAsync(Redis.DataDirectory);
    }

    private string SiteText() => $$"""
        name: orders
        repository: { location: "file://{{RepositoryPath}}"{{_copies}} }
        objectives: { database: { rto: 15m, rpo: 5m }, redis: { rto: 5m, rpo: 1h } }
        regions:
          here:
            role: primary
            database:
              connection: "{{Database.ConnectionString}}"
              password: env:SMCDR_TEST_PASSWORD
              dataDirectory: "{{Database.DataDirectory}}"
            redis:
              endpoint: "127.0.0.1:{{Redis.Port}}"
              dataDirectory: "{{Redis.DataDirectory}}"
              configFile: "{{Redis.ConfigurationPath}}"
              binDirectory: "{{Path.GetDirectoryName(Redis.Program)}}"
        fileStores: [ { name: config, path: "{{FilesPath}}" } ]
        checks:
          sql: [ { query: "select count(*) from trades", expect: "> 0" } ]
        """;
}
