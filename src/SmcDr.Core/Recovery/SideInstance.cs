using System.Globalization;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Recovery;

/// <summary>
/// A cluster as it was at some instant, recovered to a directory of its own and isolated from production, for as long as this object is
/// not disposed of: then the server is stopped and the directory removed. What a process that was killed left is removed by the next.
/// </summary>
public sealed class SideInstance : ISideInstance
{
    /// <summary>The port that names its socket.</summary>
    public const int Port = 5432;

    /// <summary>Where side instances lie unless another place is asked for: where large temporary files belong.</summary>
    public static string DefaultWorkDirectory => Directory.Exists("/var/tmp") ? "/var/tmp" : Path.GetTempPath();

    internal const string Prefix = "smcdr-side-";
    private const string LockName = "lock";
    private const string DataName = "data";

    private readonly string _root;
    private readonly FileStream _lock;
    private HostServer? _server;

    private SideInstance(string root, FileStream @lock)
    {
        _root = root;
        _lock = @lock;
    }

    /// <summary>What its recovery came to.</summary>
    public RecoveryResult Recovery { get; private set; } = null!;

    /// <summary>The programs that it is run with.</summary>
    public PostgresPrograms Programs => _server!.Programs;

    /// <summary>The directory with its socket.</summary>
    public string SocketDirectory => Path.Combine(_root, DataName);

    /// <summary>Opens connections to it.</summary>
    public PostgresConnector Connector { get; private set; } = null!;

    /// <summary>Recovers a cluster and starts it.</summary>
    /// <exception cref="SmcException">It cannot be recovered; nothing is left of it.</exception>
    public static async Task<SideInstance> StartAsync(SideInstanceOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        await SweepAsync(options.WorkDirectory, options.BinDirectory, observer, cancellationToken).ConfigureAwait(false);
        SideInstance instance = Create(options.WorkDirectory);
        bool started = false;
        try
        {
            await instance.RecoverAsync(options, observer, cancellationToken).ConfigureAwait(false);
            started = true;
            return instance;
        }
        finally
        {
            if (!started)
            {
                await instance.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Removes side instances whose process is gone, with their servers. Returns how many.</summary>
    public static async Task<int> SweepAsync(
        string workDirectory, string? binDirectory, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        int count = 0;
        foreach (string root in Directory.Exists(workDirectory) ? Directory.GetDirectories(workDirectory, Prefix + "*") : [])
        {
            // Only what carries the mark is ours, and flock(2) is held by a process that lives.
            string path = Path.Combine(root, LockName);
            if (!File.Exists(path) || new DirectoryInfo(root).LinkTarget is not null || TryLock(path) is not { } held)
            {
                continue;
            }

            SideInstance left = new(root, held);
            try
            {
                if (HostServer.IsRunning(left.SocketDirectory))
                {
                    PostgresPrograms programs = await PostgresPrograms.FindAsync(binDirectory, null, cancellationToken).ConfigureAwait(false);
                    left._server = new HostServer(programs, left.SocketDirectory);
                }
            }
            finally
            {
                await left.DisposeAsync().ConfigureAwait(false);
            }

            observer.Verbose($"A side instance in '{root}', left by a process that has ended, is removed.");
            count++;
        }

        return count;
    }

    /// <summary>Stops the server and removes all there is of it.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_server is not null)
            {
                // Nothing of it is needed any more.
                await _server.EndAsync().ConfigureAwait(false);
            }

            // The mark goes last: what cannot be removed now is found again.
            foreach (string path in Directory.GetFileSystemEntries(_root).Where(static p => Path.GetFileName(p) != LockName))
            {
                if (Directory.Exists(path))
                {
                    Directory.Delete(path, recursive: true);
                }
                else
                {
                    File.Delete(path);
                }
            }

            Directory.Delete(_root, recursive: true);
        }
        finally
        {
            await _lock.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static SideInstance Create(string workDirectory)
    {
        string root = Path.Combine(
            Path.GetFullPath(workDirectory), Prefix + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)[..12]);
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(root);
        }
        else
        {
            // The server's account goes through it to its own directory, and needs to see nothing else.
            const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(root);
            File.SetUnixFileMode(root, Posix.IsRoot ? Owner | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute : Owner);
        }

        return new SideInstance(root, TryLock(Path.Combine(root, LockName)) ?? throw new SmcException(
            SmcErrorCode.TargetUnsuitable, $"The directory '{root}' cannot be locked.", target: root));
    }

    private static FileStream? TryLock(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private async Task RecoverAsync(SideInstanceOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            new RecoveryRequest
            {
                Repository = options.Repository,
                BackupId = options.BackupId,
                SystemId = options.SystemId,
                Site = options.Site,
                Target = options.Target,
                DataDirectory = SocketDirectory,
                BinDirectory = options.BinDirectory,
                OsUser = options.OsUser,
                Superuser = options.Superuser,
                Parallelism = options.Parallelism,
                Isolation = new ServerIsolation { Port = Port, ReadOnly = !options.ReadWrite },
            },
            observer,
            cancellationToken).ConfigureAwait(false);
        options.Planned?.Invoke(plan);
        _server = new HostServer(plan.Programs!, SocketDirectory, plan.Account?.Name);
        Recovery = await DatabaseRecovery.ExecuteAsync(plan, observer, cancellationToken).ConfigureAwait(false);
        NpgsqlConnectionStringBuilder settings = new()
        {
            Host = SocketDirectory,
            Port = Port,
            Username = options.Superuser,
            Database = "template1",
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
            Pooling = false,
        };
        Connector = new PostgresConnector(settings.ConnectionString);
    }
}
