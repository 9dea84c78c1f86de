using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Drills;

/// <summary>One drill from its first step to its last.</summary>
internal sealed class DrillRun
{
    private const string Slot = "smcdr_drill";
    private const string DataDropped = "Data dropped";
    private const string ServerDestroyed = "Server destroyed";
    private const long CommitsBetween = 1000;

    // Ids of the second half cannot meet those of the first.
    private const long SecondHalf = 1_000_000_000_000;

    private readonly DrillOptions _options;
    private readonly IOperationObserver _observer;
    private readonly DrillRecorder _recorder;
    private readonly PostgresPrograms _programs;
    private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
    private readonly string _root;
    private readonly string _dataDirectory;
    private readonly string _password = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
    private readonly DrillRedis? _redis;
    private readonly string? _redisLeftOut;
    private readonly List<DrillSample> _walLag = [];
    private readonly List<DrillCommit> _written = [];
    private readonly List<DateTimeOffset> _acknowledged = [];

    private PostgresConnector? _connector;
    private DrillDatabase? _database;
    private Repository? _repository;
    private DrillStream? _stream;
    private DrillExposure? _exposure;
    private DrillWriters? _writers;
    private DateTimeOffset? _upSince;
    private int _timeline = 1;
    private bool _isRehearsing;
    private string? _serverVersion;
    private long _databaseBytes;
    private long _repositoryBytes;
    private (long Count, string Digest) _trades;
    private decimal _totalBalance;
    private double _rtoSeconds;

    private DrillRun(
        DrillOptions options,
        IOperationObserver observer,
        IProgress<DrillStep>? progress,
        PostgresPrograms programs,
        string? redisProgram,
        string root)
    {
        _options = options;
        _observer = observer;
        _recorder = new DrillRecorder(progress);
        _programs = programs;
        _root = root;
        _dataDirectory = Path.Combine(root, "server", "data");
        if (OfflinePreflight.IsSupported && redisProgram is not null)
        {
            _redis = new DrillRedis(redisProgram, root, _recorder, observer);
        }
        else
        {
            _redisLeftOut = OfflinePreflight.IsSupported
                ? "No redis-server is on this machine's search path."
                : "Redis is restored by its files on 64-bit Linux only.";
        }
    }

    private DrillDatabase Database => _database!;

    /// <summary>Why Redis has no part in the drill; null where it has.</summary>
    private string? RedisLeftOut => _redisLeftOut ?? (OfflinePreflight.IsSupported ? _redis?.LeftOut : null);

    private HostServer Server => new(_programs, _dataDirectory, logFile: Path.Combine(_root, "server", "server.log"));

    /// <summary>Finds out whether a drill can be run here, and makes its directory.</summary>
    public static async Task<DrillRun> PrepareAsync(
        DrillOptions options, IOperationObserver observer, IProgress<DrillStep>? progress, CancellationToken cancellationToken)
    {
        if (options.SizeBytes is < 1_000_000 or > 1_000_000_000_000)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, "The drill's data must be between 1 MB and 1 TB.", recommendation: "Give a size such as 200MB.");
        }

        if (options.Writers is < 1 or > 64)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "A drill has 1 to 64 writers.");
        }

        PostgresPrograms programs = await PostgresPrograms.FindAsync(options.BinDirectory, major: null, cancellationToken).ConfigureAwait(false);
        if (programs.Major < 15)
        {
            throw new SmcException(
                SmcErrorCode.VersionUnsupported, $"PostgreSQL {programs.Version} in '{programs.BinDirectory}' is too old for a drill.");
        }

        foreach (string program in new[] { "initdb", "pg_ctl", "pg_checksums" })
        {
            if (!programs.Has(program))
            {
                throw new SmcException(
                    SmcErrorCode.ProgramNotFound, $"The program '{program}' is missing from '{programs.BinDirectory}'.", target: program);
            }
        }

        string? redisProgram = OfflinePreflight.IsSupported ? DrillRedis.FindProgram(options.RedisBinDirectory, options.SearchPath) : null;
        string parent = Path.GetFullPath(options.WorkDirectory ?? Path.GetTempPath());
        OsAccount? account = OsAccount.ForServer(parent, Posix.IsRoot ? "postgres" : null);
        if (!OperatingSystem.IsWindows() && Posix.IsRoot && account is not null)
        {
            DrillDirectory.RequireReachable(parent, account);
        }

        DrillDirectory.RequireSpace(parent, options.SizeBytes);
        return new DrillRun(options, observer, progress, programs, redisProgram, DrillDirectory.Create(parent, account));
    }

    /// <summary>Runs the drill.</summary>
    public async Task<DrillResult> RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await SetUpAsync(cancellationToken).ConfigureAwait(false);
            _isRehearsing = true;
            await DropDataAndRecoverAsync(cancellationToken).ConfigureAwait(false);
            await GoOnAsync(cancellationToken).ConfigureAwait(false);
            await DestroyServerAndRecoverAsync(cancellationToken).ConfigureAwait(false);
            await RehearseRedisAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (_isRehearsing && !cancellationToken.IsCancellationRequested)
        {
            // A recovery that fails is what a drill is there to find; its step says so.
            _observer.Warning($"{e.Message} {e.Recommendation}");
        }
        finally
        {
            await CleanUpAsync().ConfigureAwait(false);
        }

        cancellationToken.ThrowIfCancellationRequested();
        (DrillResult result, DrillEvidence evidence) = Conclude();
        if (_options.ReportPath is { } path)
        {
            await DrillReport.WriteAsync(path, result, evidence, cancellationToken).ConfigureAwait(false);
        }

        return result;
    }

    private static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    private async Task SetUpAsync(CancellationToken cancellationToken)
    {
        await _recorder.RunAsync("Create the server", async () =>
        {
            int port = FreePort();
            await Server.InitializeAsync(
                new InitializeOptions { Password = _password, DataChecksums = true }, cancellationToken).ConfigureAwait(false);
            await ConfigureAsync(port, cancellationToken).ConfigureAwait(false);
            string settings = new NpgsqlConnectionStringBuilder
            {
                Host = "127.0.0.1",
                Port = port,
                Username = "postgres",
                Database = "postgres",
                SslMode = SslMode.Disable,
            }.ConnectionString;
            _connector = new PostgresConnector(settings, _ => ValueTask.FromResult<string?>(_password));
            _database = new DrillDatabase(_connector);
            await StartServerAsync(cancellationToken).ConfigureAwait(false);
            await DrillIntegrity.RequireAmcheckAsync(_connector, cancellationToken).ConfigureAwait(false);
            await Database.CreateAsync(cancellationToken).ConfigureAwait(false);
            (_serverVersion, _) = await Database.DescribeAsync(cancellationToken).ConfigureAwait(false);
            return string.Create(CultureInfo.InvariantCulture, $"PostgreSQL {_serverVersion} on 127.0.0.1:{port}, with data checksums.");
        }).ConfigureAwait(false);
        await _recorder.RunAsync("Load data", async () =>
        {
            await Database.LoadAsync(_options.SizeBytes, _observer, cancellationToken).ConfigureAwait(false);
            _trades = await Database.TradesAsync(cancellationToken).ConfigureAwait(false);
            _totalBalance = await Database.TotalBalanceAsync(cancellationToken).ConfigureAwait(false);
            (_, _databaseBytes) = await Database.DescribeAsync(cancellationToken).ConfigureAwait(false);
            return $"{Count(_trades.Count)} trades; the cluster has {DisplayText.Size(_databaseBytes)}.";
        }).ConfigureAwait(false);
        await StartStreamAndWritersAsync(firstId: 1, cancellationToken).ConfigureAwait(false);
        await BackUpAsync("Base backup", cancellationToken).ConfigureAwait(false);
        await _writers!.WaitForMoreAsync(CommitsBetween, cancellationToken).ConfigureAwait(false);
    }

    private async Task DropDataAndRecoverAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset target = default;
        await _recorder.RunAsync("Disaster: data dropped", async () =>
        {
            target = await Database.ClockAsync(cancellationToken).ConfigureAwait(false);
            _recorder.Marks.Add(new DrillMark(target, "Recovered to", IsDisaster: false));
            await _writers!.WaitForMoreAsync(CommitsBetween, cancellationToken).ConfigureAwait(false);
            _recorder.Marks.Add(new DrillMark(DateTimeOffset.UtcNow, DataDropped, IsDisaster: true));
            await Database.DropDataAsync(cancellationToken).ConfigureAwait(false);
            // Nobody notices at once: work goes on behind the accident.
            await _writers.WaitForMoreAsync(CommitsBetween, cancellationToken).ConfigureAwait(false);
            return $"After {Text(target)}, with commits on both sides of it, table trades was dropped and table orders emptied; writers went on.";
        }).ConfigureAwait(false);

        await RecoverAsync(
            "Recover to the instant before",
            DataDropped,
            RecoveryTarget.AtTime(target),
            target,
            // A target time that is reached leaves no room for loss.
            allowance: TimeSpan.Zero,
            async () =>
            {
                await StopWritersAsync().ConfigureAwait(false);
                _stream!.ExpectServerToGo();
                // On its way down the server hands the rest of its WAL to the stream.
                await StopServerAsync(cancellationToken).ConfigureAwait(false);
                await StopStreamAsync().ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        await CheckIntegrityAsync(DataDropped, restart: true, cancellationToken).ConfigureAwait(false);
    }

    private async Task GoOnAsync(CancellationToken cancellationToken)
    {
        // What is there now is what has to be there after the next disaster, whatever happened to rows on their way at the first.
        (HashSet<long> there, _) = await Database.OrdersAsync(cancellationToken).ConfigureAwait(false);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        List<DrillCommit> kept = [.. _written.Where(row => there.Contains(row.Id)).Select(row => row with { AcknowledgedTime = row.AcknowledgedTime ?? now })];
        _written.Clear();
        _written.AddRange(kept);
        await StartStreamAndWritersAsync(SecondHalf, cancellationToken).ConfigureAwait(false);
        await BackUpAsync("Base backup on the new timeline", cancellationToken).ConfigureAwait(false);
        await _writers!.WaitForMoreAsync(CommitsBetween * 2, cancellationToken).ConfigureAwait(false);
    }

    private async Task DestroyServerAndRecoverAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset gone = default;
        await _recorder.RunAsync("Disaster: server destroyed", async () =>
        {
            DateTimeOffset began = DateTimeOffset.UtcNow;
            _writers!.ExpectServerToGo();
            _stream!.ExpectServerToGo();
            int? memory = HostServer.FindSharedMemory(_dataDirectory);
            await Server.KillAsync(cancellationToken).ConfigureAwait(false);
            // From here nothing can be acknowledged. The earlier instant would count lost rows in, and their time out.
            gone = DateTimeOffset.UtcNow;
            _recorder.Marks.Add(new DrillMark(began, ServerDestroyed, IsDisaster: true));
            ServerWentDown(gone);
            Directory.Delete(_dataDirectory, recursive: true);
            if (memory is { } segment)
            {
                // In life the system's end takes it, too; here no server will ever start in this directory again to do so.
                Posix.RemoveSharedMemory(segment);
            }

            return "Every process of the server was killed while writers committed, and its data directory deleted.";
        }).ConfigureAwait(false);

        await RecoverAsync(
            "Recover to the end",
            ServerDestroyed,
            RecoveryTarget.Latest,
            gone,
            _options.LossAllowance,
            async () =>
            {
                await StopWritersAsync().ConfigureAwait(false);
                await StopStreamAsync().ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        await CheckIntegrityAsync(ServerDestroyed, restart: false, cancellationToken).ConfigureAwait(false);
    }

    private async Task RehearseRedisAsync(CancellationToken cancellationToken)
    {
        if (OfflinePreflight.IsSupported && _redis is not null)
        {
            await _redis.RunAsync(_repository!, cancellationToken).ConfigureAwait(false);
        }

        if (RedisLeftOut is { } reason)
        {
            _observer.Warning($"Redis was left out of the drill: {reason}");
        }
    }

    private async Task StartStreamAndWritersAsync(long firstId, CancellationToken cancellationToken)
    {
        await _recorder.RunAsync("Start the WAL stream", async () =>
        {
            _repository ??= await Repository.OpenOrCreateAsync(
                new DirectoryObjectStore(Path.Combine(_root, "repository")), cancellationToken).ConfigureAwait(false);
            Lsn reach = await Database.FlushedLsnAsync(cancellationToken).ConfigureAwait(false);
            _stream = await DrillStream.StartAsync(
                _connector!, _repository, Slot, reach, _observer, cancellationToken).ConfigureAwait(false);
            DrillStream stream = _stream;
            _exposure = await DrillExposure.StartAsync(_connector!, () => stream.FlushedLsn, OnExposure, cancellationToken).ConfigureAwait(false);
            return string.Create(CultureInfo.InvariantCulture, $"Timeline {_timeline} is streamed; WAL up to {reach} is in the repository.");
        }).ConfigureAwait(false);
        await _recorder.RunAsync("Start the writers", async () =>
        {
            _writers = await DrillWriters.StartAsync(Database.Connector, _options.Writers, firstId, cancellationToken).ConfigureAwait(false);
            await _writers.WaitForMoreAsync(CommitsBetween, cancellationToken).ConfigureAwait(false);
            return $"{Count(_options.Writers)} writers commit.";
        }).ConfigureAwait(false);
    }

    private Task BackUpAsync(string name, CancellationToken cancellationToken) =>
        _recorder.RunAsync(name, DrillLane.Backup, "Backup", async () =>
        {
            long before = _writers!.Acknowledged;
            BackupInfo backup = await BaseBackup.RunAsync(
                _connector!, _repository!, new BaseBackupOptions { Label = "drill", Slot = Slot }, _observer, cancellationToken).ConfigureAwait(false);
            _recorder.Check(name, "Pages with a wrong checksum", "0", Count(backup.PageChecksumErrors ?? 0));
            return $"{backup.Id}: {DisplayText.Size(backup.SizeBytes)} of files, {DisplayText.Size(backup.StoredBytes)} stored, " +
                $"while {Count(_writers.Acknowledged - before)} orders were committed.";
        });

    private async Task RecoverAsync(
        string name,
        string disaster,
        RecoveryTarget target,
        DateTimeOffset cutoff,
        TimeSpan allowance,
        Func<Task> stop,
        CancellationToken cancellationToken)
    {
        DrillComparison? comparison = null;
        long wrongContent = 0;
        DateTimeOffset decided = DateTimeOffset.UtcNow;
        await _recorder.RunAsync(name, async () =>
        {
            await stop().ConfigureAwait(false);
            RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
                new RecoveryRequest
                {
                    Repository = _repository!,
                    DataDirectory = _dataDirectory,
                    Target = target,
                    BinDirectory = _programs.BinDirectory,
                    OsUser = Posix.IsRoot ? "postgres" : null,
                    Force = true,
                },
                _observer,
                cancellationToken).ConfigureAwait(false);
            DateTimeOffset planned = DateTimeOffset.UtcNow;
            RecoveryResult result = await DatabaseRecovery.ExecuteAsync(plan, _observer, cancellationToken).ConfigureAwait(false);
            DateTimeOffset executed = DateTimeOffset.UtcNow;
            _timeline = await Database.TimelineAsync(cancellationToken).ConfigureAwait(false);
            _upSince = executed;
            (HashSet<long> there, long wrong) = await Database.OrdersAsync(cancellationToken).ConfigureAwait(false);
            comparison = DrillComparison.Compare(disaster, _written, there, cutoff);
            DateTimeOffset compared = DateTimeOffset.UtcNow;
            _rtoSeconds = Math.Max(_rtoSeconds, (compared - decided).TotalSeconds);
            _recorder.Comparisons.Add(comparison);
            wrongContent = wrong;
            TimeSpan restore = TimeSpan.FromSeconds(result.RestoreSeconds);
            TimeSpan replay = TimeSpan.FromSeconds(result.ReplaySeconds);
            DrillPhase[] phases =
            [
                new(DrillPhase.Plan, planned - decided),
                new(DrillPhase.RestoreFiles, restore),
                new("Replay WAL", replay),
                new(DrillPhase.CheckAndStart, executed - planned - restore - replay),
                new(DrillPhase.Compare, compared - executed),
            ];
            _recorder.Spans.Add(new DrillSpan(DrillLane.Recovery, "Recovery", decided, compared) { Phases = phases });
            return string.Create(
                CultureInfo.InvariantCulture,
                $"From {result.BackupId} to {target} in {(compared - decided).TotalSeconds:0.0} s: {DisplayText.Size(result.RestoredBytes)} restored, {DisplayText.Size(result.WalBytes)} of WAL replayed, timeline {_timeline}.");
        }).ConfigureAwait(false);
        await _recorder.RunAsync($"Compare after: {char.ToLowerInvariant(disaster[0])}{disaster[1..]}", DrillLane.Check, "Compare", async () =>
        {
            bool isKept = comparison!.IsLossWithin(allowance);
            _recorder.Check(disaster, "Acknowledged rows", Count(comparison.Acknowledged), Count(comparison.Recovered), isKept);
            _recorder.Check(
                disaster,
                "Seconds of work lost",
                string.Create(CultureInfo.InvariantCulture, $"at most {allowance.TotalSeconds:0.0}"),
                comparison.Loss.TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture),
                isKept);
            _recorder.Check(disaster, "Rows missing in front of later ones", "0", Count(comparison.Holes.Count));
            _recorder.Check(disaster, "Rows that should not be there", "0", Count(comparison.Unexpected.Count));
            _recorder.Check(disaster, "Rows with wrong content", "0", Count(wrongContent));
            (long count, string digest) = await Database.TradesAsync(cancellationToken).ConfigureAwait(false);
            _recorder.Check(disaster, "Rows in trades", Count(_trades.Count), Count(count));
            _recorder.Check(disaster, "Digest of trades", _trades.Digest, digest);
            decimal total = await Database.TotalBalanceAsync(cancellationToken).ConfigureAwait(false);
            _recorder.Check(
                disaster,
                "Sum of all balances",
                _totalBalance.ToString("N2", CultureInfo.InvariantCulture),
                total.ToString("N2", CultureInfo.InvariantCulture));
            _recorder.Check(
                disaster,
                "Balances off from transfers",
                "0",
                Count(await Database.WrongBalancesAsync(cancellationToken).ConfigureAwait(false)));
            return comparison.Describe();
        }).ConfigureAwait(false);
    }

    private async Task CheckIntegrityAsync(string disaster, bool restart, CancellationToken cancellationToken)
    {
        string suffix = $"after: {char.ToLowerInvariant(disaster[0])}{disaster[1..]}";
        await _recorder.RunAsync($"Read all tables and indexes {suffix}", DrillLane.Check, "amcheck", async () =>
        {
            (int relations, IReadOnlyList<string> problems) = await DrillIntegrity.AmcheckAsync(_connector!, cancellationToken).ConfigureAwait(false);
            _recorder.Check(disaster, "Problems found by amcheck", "0", Count(problems.Count));
            return problems.Count == 0
                ? $"amcheck read {Count(relations)} tables and indexes and found nothing wrong."
                : $"amcheck found {Count(problems.Count)} problems: {string.Join("; ", problems.Take(3))}.";
        }).ConfigureAwait(false);
        await _recorder.RunAsync($"Read all pages {suffix}", DrillLane.Check, "pg_checksums", async () =>
        {
            await StopServerAsync(cancellationToken).ConfigureAwait(false);
            (string summary, bool passed) = await DrillIntegrity.ChecksumsAsync(Server, cancellationToken).ConfigureAwait(false);
            _recorder.Check(disaster, "Pages with a wrong checksum", "0", passed ? "0" : "some", passed);
            if (restart)
            {
                await StartServerAsync(cancellationToken).ConfigureAwait(false);
            }

            return passed ? $"pg_checksums read {summary} pages of the stopped server; all are right." : summary;
        }).ConfigureAwait(false);
    }

    private async Task StartServerAsync(CancellationToken cancellationToken)
    {
        await Server.StartAsync(settings: null, isUp: null, TimeSpan.FromMinutes(2), cancellationToken).ConfigureAwait(false);
        _upSince = DateTimeOffset.UtcNow;
    }

    private async Task StopServerAsync(CancellationToken cancellationToken)
    {
        await Server.StopAsync(StopMode.Fast, TimeSpan.FromMinutes(5), cancellationToken).ConfigureAwait(false);
        ServerWentDown(DateTimeOffset.UtcNow);
    }

    private void ServerWentDown(DateTimeOffset time)
    {
        if (_upSince is { } since)
        {
            _recorder.Spans.Add(new DrillSpan(
                DrillLane.Server, string.Create(CultureInfo.InvariantCulture, $"Timeline {_timeline}"), since, time));
            _upSince = null;
        }
    }

    private async Task StopWritersAsync()
    {
        if (_writers is { } writers)
        {
            await writers.StopAsync().ConfigureAwait(false);
            Keep(writers);
            await writers.DisposeAsync().ConfigureAwait(false);
            _writers = null;
        }
    }

    private void Keep(DrillWriters writers)
    {
        IReadOnlyList<DrillCommit> written = writers.Written();
        _written.AddRange(written);
        _acknowledged.AddRange(written.Where(static row => row.AcknowledgedTime is not null).Select(static row => row.AcknowledgedTime!.Value));
    }

    private async Task StopStreamAsync()
    {
        if (_exposure is { } exposure)
        {
            await exposure.DisposeAsync().ConfigureAwait(false);
            _exposure = null;
        }

        if (_stream is { } stream)
        {
            await stream.StopAsync().ConfigureAwait(false);
            await stream.DisposeAsync().ConfigureAwait(false);
            _stream = null;
        }
    }

    private async Task CleanUpAsync()
    {
        await _recorder.RunAsync("Clean up", async () =>
        {
            if (_writers is { } writers)
            {
                await writers.DisposeAsync().ConfigureAwait(false);
                Keep(writers);
            }

            if (_exposure is { } exposure)
            {
                await exposure.DisposeAsync().ConfigureAwait(false);
            }

            if (_stream is { } stream)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }

            if (OfflinePreflight.IsSupported && _redis is not null)
            {
                await _redis.EndAsync().ConfigureAwait(false);
            }

            await Server.EndAsync().ConfigureAwait(false);
            ServerWentDown(DateTimeOffset.UtcNow);
            _repositoryBytes = DrillDirectory.SizeOf(Path.Combine(_root, "repository"));
            bool isGone = _options.Keep || DrillDirectory.TryDelete(_root);
            IReadOnlyList<int> processes = DrillDirectory.ProcessesIn(_root);
            _recorder.Check("Clean up", "Processes left", "0", Count(processes.Count));
            _recorder.Check("Clean up", "Directories left", "0", isGone ? "0" : "1");
            return !isGone
                ? $"The directory '{_root}' is still there."
                : processes.Count > 0
                    ? $"Processes {string.Join(", ", processes)} still run in '{_root}'."
                    : _options.Keep ? $"No process is left. The files were kept in '{_root}'." : "No process and no file is left.";
        }).ConfigureAwait(false);
    }

    private (DrillResult Result, DrillEvidence Evidence) Conclude()
    {
        double duration = (DateTimeOffset.UtcNow - _start).TotalSeconds;
        DateTimeOffset end = _start.AddSeconds(duration);
        List<DrillComparison> comparisons = _recorder.Comparisons;
        double rpo = comparisons.Select(static comparison => comparison.Loss.TotalSeconds).DefaultIfEmpty(0).Max();
        (DrillComparison? redis, TimeSpan? timeToRecoverRedis, string? redisVersion, IEnumerable<DateTimeOffset> redisWrites) =
            OfflinePreflight.IsSupported && _redis is { } part ? (part.Comparison, part.TimeToRecover, part.ServerVersion, part.Acknowledged) : (null, null, null, []);
        bool succeeded = comparisons.Count == 2
            && _recorder.Steps.All(static step => step.Outcome == "Passed")
            && rpo <= _options.RpoObjective.TotalSeconds
            && _rtoSeconds <= _options.RtoObjective.TotalSeconds
            && (RedisLeftOut is not null || (redis?.Loss <= _options.RedisRpoObjective && timeToRecoverRedis <= _options.RedisRtoObjective));
        DrillResult result = new()
        {
            Succeeded = succeeded,
            Acknowledged = comparisons.Sum(static comparison => comparison.Acknowledged),
            Recovered = comparisons.Sum(static comparison => comparison.Recovered),
            LostAcknowledged = comparisons.Sum(static comparison => (long)comparison.Lost.Count),
            UnexpectedRows = comparisons.Sum(static comparison => (long)comparison.Unexpected.Count),
            RpoSeconds = rpo,
            RtoSeconds = _rtoSeconds,
            RpoObjectiveSeconds = _options.RpoObjective.TotalSeconds,
            RtoObjectiveSeconds = _options.RtoObjective.TotalSeconds,
            RedisAcknowledged = redis?.Acknowledged,
            RedisRecovered = redis?.Recovered,
            RedisLostAcknowledged = redis?.Lost.Count,
            RedisUnexpectedKeys = redis?.Unexpected.Count,
            RedisRpoSeconds = redis?.Loss.TotalSeconds,
            RedisRtoSeconds = timeToRecoverRedis?.TotalSeconds,
            RedisRpoObjectiveSeconds = _options.RedisRpoObjective.TotalSeconds,
            RedisRtoObjectiveSeconds = _options.RedisRtoObjective.TotalSeconds,
            RedisServerVersion = redisVersion,
            RedisLeftOut = RedisLeftOut,
            ServerVersion = _serverVersion,
            DatabaseBytes = _databaseBytes,
            StartTime = _start,
            DurationSeconds = duration,
            ReportPath = _options.ReportPath is { } path ? Path.GetFullPath(path) : null,
            Steps = [.. _recorder.Steps],
        };
        DrillSample[] lag;
        lock (_walLag)
        {
            lag = [.. _walLag];
        }

        return (result, new DrillEvidence
        {
            Comparisons = [.. comparisons],
            Checks = [.. _recorder.Checks],
            Spans = [.. _recorder.Spans],
            Marks = [.. _recorder.Marks],
            CommitRate = CommitRate.Of(_acknowledged, _start, end),
            WalLag = lag,
            RedisWriteRate = redisVersion is null ? [] : CommitRate.Of(redisWrites, _start, end),
            RedisComparison = redis,
            RepositoryBytes = _repositoryBytes,
        });
    }

    private void OnExposure(DrillSample sample)
    {
        lock (_walLag)
        {
            _walLag.Add(sample);
        }
    }

    private async Task ConfigureAsync(int port, CancellationToken cancellationToken)
    {
        // Appended in place, so that the file keeps its owner. The last of several equal names counts. Dynamic shared memory is in files of the data
        // directory, so that it goes with that when the server is killed.
        string settings = string.Create(CultureInfo.InvariantCulture, $"""

            listen_addresses = '127.0.0.1'
            port = {port}
            unix_socket_directories = ''
            dynamic_shared_memory_type = mmap
            wal_level = replica
            max_wal_senders = 10
            max_connections = {_options.Writers + 40}
            track_commit_timestamp = on
            log_timezone = 'UTC'
            timezone = 'UTC'
            log_line_prefix = '%m [%p] '

            """);
        await File.AppendAllTextAsync(Path.Combine(_dataDirectory, "postgresql.conf"), settings, cancellationToken).ConfigureAwait(false);
    }

    private static string Text(DateTimeOffset time) =>
        time.UtcDateTime.ToString("HH:mm:ss.ffffff", CultureInfo.InvariantCulture);

    /// <summary>
    /// A loopback port that nobody listens on, below those that the system gives out by itself: the server is away for seconds
    /// during the drill, and has to get it again.
    /// </summary>
    internal static int FreePort()
    {
        for (int attempt = 0; attempt < 200; attempt++)
        {
            int port = RandomNumberGenerator.GetInt32(20_000, 32_000);
            try
            {
                using TcpListener listener = new(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Somebody has it.
            }
        }

        throw new SmcException(SmcErrorCode.TargetUnsuitable, "No port between 20000 and 32000 is free on 127.0.0.1.");
    }
}
