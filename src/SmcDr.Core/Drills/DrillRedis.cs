using System.Globalization;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Recovery;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Drills;

/// <summary>
/// Redis' part of a drill: a throwaway server with an append-only file is filled, backed up while writers write, killed, its files are removed, and the backup
/// is put in place by the same code that would do it for a real one.
/// </summary>
[UnsupportedOSPlatform("windows")]
internal sealed partial class DrillRedis(string program, string root, DrillRecorder recorder, IOperationObserver observer)
{
    private const string Destroyed = "Redis destroyed";
    private const int Writers = 2;
    private const long WritesBetween = 1000;

    /// <summary>Debian has the server's program in redis-tools under this name, and calls it by its own where redis-server is installed.</summary>
    private const string OtherName = "redis-check-rdb";

    /// <summary>What backups are taken of.</summary>
    private static readonly Version s_oldest = new(6, 2);

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(1);

    private readonly string _directory = Path.Combine(root, "redis");
    private readonly string _dataDirectory = Path.Combine(root, "redis", "data");
    private readonly string _configFile = Path.Combine(root, "redis", "redis.conf");
    private readonly string _password = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
    private readonly int _port = DrillRun.FreePort();
    private readonly List<DrillCommit> _written = [];
    private DrillRedisWriters? _writers;
    private DateTimeOffset? _upSince;
    private DateTimeOffset _backedUp;
    private DateTimeOffset _gone;
    private (long Keys, string Digest) _loaded;

    /// <summary>The server's version; null where none was started.</summary>
    public string? ServerVersion { get; private set; }

    /// <summary>Why there is nothing of Redis in the drill after all; null where there is.</summary>
    public string? LeftOut { get; private set; }

    /// <summary>What came back; null before.</summary>
    public DrillComparison? Comparison { get; private set; }

    /// <summary>From the decision to restore until every acknowledged key had been looked for; null before.</summary>
    public TimeSpan? TimeToRecover { get; private set; }

    /// <summary>When writes were acknowledged.</summary>
    public IEnumerable<DateTimeOffset> Acknowledged =>
        _written.Where(static write => write.AcknowledgedTime is not null).Select(static write => write.AcknowledgedTime!.Value);

    private string BinDirectory => Path.Combine(_directory, "bin");

    private RedisConnector Connector => new(
        string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port}"), null, _ => ValueTask.FromResult<string?>(_password));

    private DrillRedisData Data => new(Connector);

    /// <summary>Looks for a server's program.</summary>
    /// <param name="binDirectory">Where it is; null = on the search path.</param>
    /// <param name="searchPath">Directories to look in.</param>
    /// <returns>The program; null where there is none.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>: it is not in the directory that was named.</exception>
    public static string? FindProgram(string? binDirectory, string? searchPath)
    {
        string[] directories = binDirectory is not null ? [binDirectory] : (searchPath ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        string? program = (from name in OfflinePreflight.Programs.Append(OtherName)
                           from directory in directories
                           select Path.Combine(directory, name)).FirstOrDefault(File.Exists);
        return program is null && binDirectory is not null
            ? throw new SmcException(
                SmcErrorCode.ProgramNotFound,
                $"The program redis-server is missing from '{binDirectory}'.",
                recommendation: "Name the directory of redis-server by --redis-bin-directory (or -RedisBinDirectory), or none to have it looked for.",
                target: "redis-server")
            : program;
    }

    /// <summary>Runs it all, step by step.</summary>
    /// <exception cref="SmcException">A step failed, as it says.</exception>
    public async Task RunAsync(Repository repository, CancellationToken cancellationToken)
    {
        if (!await PrepareAsync(cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        await SetUpAsync(cancellationToken).ConfigureAwait(false);
        BackupInfo backup = await BackUpAsync(repository, cancellationToken).ConfigureAwait(false);
        await DestroyAsync(cancellationToken).ConfigureAwait(false);
        await RestoreAsync(repository, backup, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends whatever is left of it.</summary>
    public async Task EndAsync()
    {
        if (_writers is { } writers)
        {
            await writers.DisposeAsync().ConfigureAwait(false);
            Keep(writers);
        }

        await KillAsync().ConfigureAwait(false);
        WentDown(DateTimeOffset.UtcNow);
    }

    private static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>Gives the program its name; false where it is too old, or no server's.</summary>
    private async Task<bool> PrepareAsync(CancellationToken cancellationToken)
    {
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(_dataDirectory, Owner);
        Directory.CreateDirectory(BinDirectory, Owner);
        string server = Path.Combine(BinDirectory, OfflinePreflight.Programs[0]);
        File.CreateSymbolicLink(server, program);
        ProgramResult result = await HostProgram.RunAsync(
            server, ["--version"], new ProgramOptions { TimeLimit = s_limit }, cancellationToken).ConfigureAwait(false);
        LeftOut = VersionPattern().Match(result.Output) is not { Success: true } match
            ? $"'{program}' is no Redis server."
            : Version.Parse(match.Groups[1].Value) < s_oldest
                ? $"Redis {match.Groups[1].Value} is too old: backups are taken of {s_oldest} and later."
                : null;
        return LeftOut is null;
    }

    private async Task SetUpAsync(CancellationToken cancellationToken)
    {
        await recorder.RunAsync("Create the Redis server", async () =>
        {
            string settings = string.Create(CultureInfo.InvariantCulture, $"""
                bind 127.0.0.1
                port {_port}
                requirepass {_password}
                dir "{_dataDirectory}"
                appendonly yes
                save ""
                repl-diskless-sync yes
                repl-diskless-sync-delay 0
                daemonize yes
                logfile "{Path.Combine(_directory, "redis.log")}"
                pidfile "{Path.Combine(_directory, "redis.pid")}"

                """);
            FileStreamOptions own = new()
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            };
            using (StreamWriter writer = new(_configFile, own))
            {
                await writer.WriteAsync(settings.AsMemory(), cancellationToken).ConfigureAwait(false);
            }

            await StartAsync(cancellationToken).ConfigureAwait(false);
            return string.Create(CultureInfo.InvariantCulture, $"Redis {ServerVersion} on 127.0.0.1:{_port}, with an append-only file.");
        }).ConfigureAwait(false);
        await recorder.RunAsync("Load keys", async () =>
        {
            await Data.LoadAsync(cancellationToken).ConfigureAwait(false);
            _loaded = await Data.DigestAsync(cancellationToken).ConfigureAwait(false);
            _writers = await DrillRedisWriters.StartAsync(Connector, Writers, cancellationToken).ConfigureAwait(false);
            await _writers.WaitForMoreAsync(WritesBetween, cancellationToken).ConfigureAwait(false);
            return $"{Count(_loaded.Keys)} keys of every type; {Count(Writers)} writers add orders.";
        }).ConfigureAwait(false);
    }

    private async Task<BackupInfo> BackUpAsync(Repository repository, CancellationToken cancellationToken)
    {
        BackupInfo? backup = null;
        await recorder.RunAsync("Redis backup", DrillLane.Backup, "Redis", async () =>
        {
            long before = _writers!.Acknowledged;
            // Whatever was acknowledged by now is in the server's data before its child begins to write them down.
            _backedUp = DateTimeOffset.UtcNow;
            backup = await RedisBackup.RunAsync(
                Connector, repository, new RedisBackupOptions { Label = "drill" }, observer, cancellationToken).ConfigureAwait(false);
            return $"{backup.Id}: {Count(backup.KeyCount ?? 0)} keys, {DisplayText.Size(backup.SizeBytes)}, while {Count(_writers.Acknowledged - before)} orders were written.";
        }).ConfigureAwait(false);
        await _writers!.WaitForMoreAsync(WritesBetween, cancellationToken).ConfigureAwait(false);
        return backup!;
    }

    private Task DestroyAsync(CancellationToken cancellationToken) =>
        recorder.RunAsync("Disaster: Redis destroyed", async () =>
        {
            DateTimeOffset began = DateTimeOffset.UtcNow;
            _writers!.ExpectServerToGo();
            await KillAsync().ConfigureAwait(false);
            // From here nothing can be acknowledged.
            _gone = DateTimeOffset.UtcNow;
            recorder.Marks.Add(new DrillMark(began, Destroyed, IsDisaster: true));
            WentDown(_gone);
            await _writers.StopAsync().ConfigureAwait(false);
            Keep(_writers);
            await _writers.DisposeAsync().ConfigureAwait(false);
            _writers = null;
            cancellationToken.ThrowIfCancellationRequested();
            Directory.Delete(_dataDirectory, recursive: true);
            Directory.CreateDirectory(_dataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            return "The server was killed while writers wrote, and all its files removed.";
        });

    private async Task RestoreAsync(Repository repository, BackupInfo backup, CancellationToken cancellationToken)
    {
        RedisRestoreResult? restored = null;
        long wrong = 0;
        await recorder.RunAsync("Restore Redis", async () =>
        {
            DateTimeOffset decided = DateTimeOffset.UtcNow;
            BackupReader reader = await repository.OpenBackupAsync(Component.Redis, backup.Id, cancellationToken).ConfigureAwait(false);
            RedisOfflineRestore restore = new(Connector, repository, reader, new RedisOfflineOptions
            {
                DataDirectory = _dataDirectory,
                ConfigFile = _configFile,
                BinDirectory = BinDirectory,
            });
            restored = await restore.RunAsync(observer, cancellationToken).ConfigureAwait(false);
            DateTimeOffset executed = DateTimeOffset.UtcNow;
            _upSince = executed;
            (HashSet<long> there, wrong) = await Data.OrdersAsync(cancellationToken).ConfigureAwait(false);
            Comparison = DrillComparison.Compare(Destroyed, _written, there, _gone) with { Noun = "key" };
            DateTimeOffset compared = DateTimeOffset.UtcNow;
            TimeToRecover = compared - decided;
            TimeSpan loading = restored.KeysPerSecond > 0 ? TimeSpan.FromSeconds(restored.KeysRestored / restored.KeysPerSecond) : TimeSpan.Zero;
            recorder.Spans.Add(new DrillSpan(DrillLane.Recovery, "Redis", decided, compared)
            {
                Phases =
                [
                    new DrillPhase(DrillPhase.RestoreFiles, executed - decided - loading),
                    new DrillPhase(DrillPhase.CheckAndStart, loading),
                    new DrillPhase(DrillPhase.Compare, compared - executed),
                ],
            });
            return string.Create(
                CultureInfo.InvariantCulture,
                $"From {restored.BackupId} in {TimeToRecover.Value.TotalSeconds:0.0} s: {Count(restored.KeysRestored)} keys loaded, {Count(restored.SampledKeys)} of their values compared.");
        }).ConfigureAwait(false);
        await recorder.RunAsync("Compare after: Redis destroyed", DrillLane.Check, "Redis", async () =>
        {
            DrillComparison comparison = Comparison!;
            long before = _written.LongCount(write => write.AcknowledgedTime <= _backedUp);
            long lostBefore = comparison.Lost.LongCount(write => write.AcknowledgedTime <= _backedUp);
            recorder.Check(Destroyed, "State of the restore", "Complete", restored!.State);
            recorder.Check(Destroyed, "Keys acknowledged before the backup", Count(before), Count(before - lostBefore));
            recorder.Check(Destroyed, "Acknowledged keys", Count(comparison.Acknowledged), Count(comparison.Recovered), lostBefore == 0);
            recorder.Check(
                Destroyed,
                "Seconds of work lost",
                string.Create(CultureInfo.InvariantCulture, $"at most {(_gone - _backedUp).TotalSeconds:0.000}"),
                comparison.Loss.TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture),
                comparison.Loss <= _gone - _backedUp);
            recorder.Check(Destroyed, "Keys missing in front of later ones", "0", Count(comparison.Holes.Count));
            recorder.Check(Destroyed, "Keys that should not be there", "0", Count(comparison.Unexpected.Count));
            recorder.Check(Destroyed, "Keys with wrong content", "0", Count(wrong));
            (long keys, string digest) = await Data.DigestAsync(cancellationToken).ConfigureAwait(false);
            recorder.Check(Destroyed, "Loaded keys", Count(_loaded.Keys), Count(keys));
            recorder.Check(Destroyed, "Digest of loaded keys", _loaded.Digest, digest);
            return $"{comparison.Describe()} What was written after the backup is lost: Redis is as good as its last backup.";
        }).ConfigureAwait(false);
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        ProgramResult result = await HostProgram.RunAsync(
            Path.Combine(BinDirectory, OfflinePreflight.Programs[0]),
            [_configFile],
            new ProgramOptions { TimeLimit = s_limit, IsEnvironmentEmpty = true },
            cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw new SmcException(
                SmcErrorCode.ServerStartFailed, $"The drill's Redis server does not start: it ends with {result.ExitCode}: {result.Tail}");
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_limit);
        while (true)
        {
            try
            {
                RedisConnection connection = await Connector.OpenAsync(limit.Token).ConfigureAwait(false);
                await using (connection.ConfigureAwait(false))
                {
                    ServerVersion = (await RedisSource.ReadInfoAsync(connection, limit.Token).ConfigureAwait(false)).Version;
                    _upSince = DateTimeOffset.UtcNow;
                    return;
                }
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ServerUnavailable && !limit.IsCancellationRequested)
            {
                // It has gone to the background, and listens in a moment.
                await Task.Delay(TimeSpan.FromMilliseconds(20), limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw new SmcException(SmcErrorCode.ServerStartFailed, "The drill's Redis server does not answer within a minute.", e);
            }
        }
    }

    /// <summary>Kills whatever of Redis works in the data directory; returns when it is gone.</summary>
    private async Task KillAsync()
    {
        if (!Directory.Exists(_dataDirectory))
        {
            return;
        }

        using DirectoryHandle directory = DirectoryHandle.OpenRoot(_dataDirectory);
        while (RedisProcess.FindIn(directory) is { } process)
        {
            process.End();
            while (process.IsAlive)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(5)).ConfigureAwait(false);
            }
        }
    }

    private void WentDown(DateTimeOffset time)
    {
        if (_upSince is { } since)
        {
            recorder.Spans.Add(new DrillSpan(DrillLane.Redis, $"Redis {ServerVersion}", since, time));
            _upSince = null;
        }
    }

    private void Keep(DrillRedisWriters writers) => _written.AddRange(writers.Written());

    // "Redis server v=7.0.15 sha=…"
    [GeneratedRegex(@"\A\w+ server v=([0-9]+(?:\.[0-9]+)+)", RegexOptions.CultureInvariant)]
    private static partial Regex VersionPattern();
}
