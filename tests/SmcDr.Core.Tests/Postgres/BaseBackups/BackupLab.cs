using System.Globalization;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>
/// A server, a repository beside it, and an archive of its WAL in a plain directory, so that what these tests prove of base
/// backups does not hang on our own WAL stream.
/// </summary>
public sealed class BackupLab : IAsyncDisposable
{
    private readonly List<string> _directories = [];

    private BackupLab(PostgresServer server, string archive, string repositoryDirectory, Repository repository)
    {
        Server = server;
        Archive = archive;
        RepositoryDirectory = repositoryDirectory;
        Repository = repository;
        _directories.AddRange([archive, repositoryDirectory]);
    }

    public PostgresServer Server { get; }

    public string Archive { get; }

    public string RepositoryDirectory { get; }

    public Repository Repository { get; }

    /// <summary>Whether backups read files without the server.</summary>
    public bool ReadLocally { get; init; } = true;

    public static async Task<BackupLab> StartAsync(PostgresServerOptions? options = null, bool readLocally = true)
    {
        string archive = PostgresPrograms.CreateDirectory();
        options ??= new PostgresServerOptions { Fsync = false };
        PostgresServer server = await PostgresServer.StartAsync(options with
        {
            Settings = new Dictionary<string, string>(options.Settings)
            {
                ["archive_mode"] = "on",
                ["archive_command"] = $"test -f {archive}/%f || (cp %p {archive}/%f.new && mv {archive}/%f.new {archive}/%f)",
                ["autovacuum"] = "off",
            },
        });
        string directory = Directory.CreateTempSubdirectory("smcdr-test-repository-").FullName;
        Repository repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(directory), CancellationToken.None);
        return new BackupLab(server, archive, directory, repository) { ReadLocally = readLocally };
    }

    /// <summary>A path below a directory that is removed with the lab; nothing is there yet.</summary>
    public string NewPath()
    {
        string parent = PostgresPrograms.CreateDirectory();
        _directories.Add(parent);
        return Path.Combine(parent, "restored");
    }

    /// <summary>A directory that the server owns.</summary>
    public string NewServerDirectory()
    {
        string directory = PostgresPrograms.CreateDirectory();
        _directories.Add(directory);
        return directory;
    }

    public Task<BackupInfo> BackupAsync(
        BaseBackupOptions? options = null, IOperationObserver? observer = null, PostgresConnector? connector = null,
        TimeSpan? watchInterval = null, Repository? repository = null, CancellationToken cancellationToken = default) =>
        BaseBackup.RunAsync(
            connector ?? Server.CreateConnector(),
            repository ?? Repository,
            (options ?? new BaseBackupOptions { WalTimeout = TimeSpan.FromSeconds(60) }) with { ReadLocally = ReadLocally },
            observer ?? NullObserver.Instance,
            (_, _, _) => Task.FromResult<IBackupWal>(new ArchivedWal(Archive)),
            watchInterval ?? TimeSpan.FromSeconds(10),
            cancellationToken);

    public async Task<(BackupReader Reader, Manifest Manifest)> OpenAsync(string id)
    {
        BackupReader reader = await Repository.OpenBackupAsync(Component.Database, id, CancellationToken.None);
        return (reader, await reader.ReadManifestAsync(CancellationToken.None));
    }

    public async Task<BaseRestoreResult> RestoreAsync(string id, BaseRestoreTarget target)
    {
        (BackupReader reader, Manifest manifest) = await OpenAsync(id);
        return await BaseRestore.RestoreFilesAsync(reader, manifest, Owned(target), NullObserver.Instance, CancellationToken.None);
    }

    /// <summary>The target with the server's account as owner, where the tests may give files away.</summary>
    public BaseRestoreTarget Owned(BaseRestoreTarget target)
    {
        if (PostgresPrograms.OsUser is null || OperatingSystem.IsWindows())
        {
            return target;
        }

        (uint user, uint group) = Posix.GetOwner(Server.DataDirectory);
        return target with { OwnerUser = user, OwnerGroup = group };
    }

    /// <summary>Starts PostgreSQL on a restored directory; returns when it has replayed the whole archive and takes connections.</summary>
    public Task<PostgresServer> RecoverAsync(string dataDirectory, string? archive = null)
    {
        File.WriteAllText(Path.Combine(dataDirectory, "recovery.signal"), "");
        PostgresPrograms.GiveToServer(Path.Combine(dataDirectory, "recovery.signal"));
        return PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = dataDirectory,
            Password = Server.Password,
            Fsync = false,
            Settings = new Dictionary<string, string>
            {
                ["archive_mode"] = "off",
                ["restore_command"] = $"cp {archive ?? Archive}/%f %p",
            },
        });
    }

    /// <summary>Brings all WAL that there is into the archive.</summary>
    public async Task ArchiveAllAsync()
    {
        string segment = await Server.ScalarAsync<string>(
            "SELECT pg_walfile_name(pg_current_wal_lsn()) FROM (SELECT pg_logical_emit_message(false, 'end', 'end')) m");
        await Server.ExecuteAsync("SELECT pg_switch_wal()");
        await UntilAsync(() => Task.FromResult(File.Exists(Path.Combine(Archive, segment))));
    }

    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!await condition())
        {
            await Task.Delay(20, limit.Token);
        }
    }

    /// <summary>How many sessions of the engine are on the server.</summary>
    public Task<long> SessionCountAsync() =>
        Server.ScalarAsync<long>("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'smcdr'");

    /// <summary>All objects of backups in the repository.</summary>
    public async Task<List<string>> BackupObjectsAsync()
    {
        List<string> result = [];
        await foreach (ObjectInfo info in Repository.Store.ListAsync("database/", CancellationToken.None))
        {
            result.Add(info.Key);
        }

        return result;
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        foreach (string directory in _directories)
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>The WAL comes by archive_command, segment by segment; pg_backup_stop ends the last one.</summary>
    private sealed class ArchivedWal(string archive) : IBackupWal
    {
        public Task Running { get; } = new TaskCompletionSource().Task;

        public async Task WaitForAsync(uint timeline, Lsn from, Lsn to, CancellationToken cancellationToken)
        {
            if (from == to)
            {
                return;
            }

            ulong number = (to.Value - 1) >> 24;
            string segment = string.Create(CultureInfo.InvariantCulture, $"{timeline:X8}{number >> 8:X8}{number & 0xFF:X8}");
            while (!File.Exists(Path.Combine(archive, segment)))
            {
                await Task.Delay(20, cancellationToken);
            }
        }

        public string Describe() => "";

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
