using System.Globalization;
using SmcDr.Core.Platform;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Offline;

/// <summary>A real server that was backed up and changed since: what an offline restore is tried on. Whatever runs in its directory ends with it.</summary>
internal sealed class OfflineWorld : IAsyncDisposable
{
    /// <summary>What the repository is kept in.</summary>
    public MemoryObjectStore Store { get; } = new();

    private OfflineWorld(RedisServer server) => Server = server;

    public RedisServer Server { get; }

    public RecordingObserver Observer { get; } = new();

    public BackupInfo Backup { get; private set; } = null!;

    /// <summary>What DEBUG DIGEST said of the data that was backed up.</summary>
    public string Digest { get; private set; } = null!;

    /// <summary>What it says of what the server has since.</summary>
    public string LaterDigest { get; private set; } = null!;

    public string DataDirectory => Server.DataDirectory;

    public RedisConnector Connector => new(
        string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{Server.Port}"), null, _ => ValueTask.FromResult(Password));

    public string? Password { get; private init; }

    /// <summary>Starts a server, fills it with every type in several databases, backs it up, and changes it.</summary>
    public static async Task<OfflineWorld> CreateAsync(
        Dictionary<string, string>? settings = null, string? password = null, Func<RedisServer, Task>? fill = null)
    {
        OfflineWorld world = new(await RedisServer.StartAsync(new RedisServerOptions { Settings = settings ?? [], Password = password })) { Password = password };
        try
        {
            await (fill ?? RedisSampleData.FillAsync)(world.Server);
            world.Digest = await DigestAsync(world.Server);
            world.Backup = await RedisBackup.RunAsync(
                world.Connector,
                await Repository.OpenOrCreateAsync(world.Store, CancellationToken.None),
                new RedisBackupOptions(),
                world.Observer,
                CancellationToken.None);
            // Of the child that gave the backup its data the server may learn the end a moment later.
            while (await world.Server.InfoNumberAsync("persistence", "rdb_bgsave_in_progress") != 0)
            {
                await Task.Delay(10);
            }

            await world.Server.ExecuteAsync("FLUSHALL");
            await world.Server.ExecuteAsync("SELECT", 0);
            await world.Server.ExecuteAsync("SET", "later", "than the backup");
            await world.Server.SaveAsync();
            world.LaterDigest = await DigestAsync(world.Server);
            return world;
        }
        catch
        {
            await world.DisposeAsync();
            throw;
        }
    }

    public async Task<RedisOfflineRestore> RestoreAsync(RedisOfflineOptions? options = null)
    {
        Repository repository = await OpenRepositoryAsync();
        BackupReader backup = await repository.OpenBackupAsync(Component.Redis, Backup.Id, CancellationToken.None);
        return new RedisOfflineRestore(Connector, repository, backup, options ?? new RedisOfflineOptions());
    }

    public Task<Repository> OpenRepositoryAsync() => Repository.OpenAsync(Store, CancellationToken.None);

    public async Task<RedisRestoreResult> RunAsync(RedisOfflineOptions? options = null) =>
        await (await RestoreAsync(options)).RunAsync(Observer, CancellationToken.None);

    /// <summary>What the server has that answers now, whoever started it.</summary>
    public async Task<string> DigestAsync()
    {
        await using RedisTestClient client = await Server.ConnectAsync();
        return (string)(await client.ExecuteAsync("DEBUG", "DIGEST"))!;
    }

    public async Task<string> CommandAsync(params object[] arguments)
    {
        await using RedisTestClient client = await Server.ConnectAsync();
        return await client.ExecuteAsync(arguments) switch
        {
            byte[] text => System.Text.Encoding.UTF8.GetString(text),
            object?[] { Length: 2 } pair => System.Text.Encoding.UTF8.GetString((byte[])pair[1]!),
            var other => Convert.ToString(other, CultureInfo.InvariantCulture) ?? "",
        };
    }

    /// <summary>The directory of redis-server: with Debian's redis-tools alone it is on no search path.</summary>
    public string BinDirectory => Path.GetDirectoryName(Server.Program)!;

    /// <summary>The process of Redis that works in the data directory.</summary>
    public RedisProcess? FindProcess()
    {
        using DirectoryHandle handle = DirectoryHandle.OpenRoot(DataDirectory);
        return RedisProcess.FindIn(handle);
    }

    /// <summary>kill -9 of whatever works in the data directory; returns when it is gone.</summary>
    public Task KillAsync() => KillInAsync(DataDirectory);

    /// <summary>The same for any directory.</summary>
    public static async Task KillInAsync(string path)
    {
        using DirectoryHandle handle = DirectoryHandle.OpenRoot(path);
        while (RedisProcess.FindIn(handle) is { } process)
        {
            process.End();
            while (process.IsAlive)
            {
                await Task.Delay(10);
            }
        }
    }

    /// <summary>Names in the data directory that the restore made for itself, or moved aside.</summary>
    public IReadOnlyList<string> Names(string part) =>
        [.. Directory.GetFileSystemEntries(DataDirectory).Select(static path => Path.GetFileName(path)).Where(name => name.Contains(part, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        await Server.DisposeAsync();
    }

    private static async Task<string> DigestAsync(RedisServer server) => (string)(await server.ExecuteAsync("DEBUG", "DIGEST"))!;
}
