using System.Globalization;
using Npgsql;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Certification;

/// <summary>Recovers a database from its repository to a server that is thrown away, looks at what came back, and certifies it.</summary>
/// <remarks>
/// What the test finds wrong with backups, WAL or data is its result, and is certified like a success. What keeps it from being made, such as a
/// full disk on this host or a key that is not here, says nothing about the backups: that is an error, and nothing is certified.
/// </remarks>
public static class RecoveryTest
{
    private const string Activity = "Recovery test";

    /// <summary>Runs a test.</summary>
    /// <param name="options">What is recovered, and what must hold then.</param>
    /// <param name="observer">Is told decisions and progress.</param>
    /// <param name="cancellationToken">Stops the test. Then nothing is certified, and nothing is left of the server.</param>
    /// <exception cref="SmcException">The test cannot be made, or its result cannot be kept.</exception>
    public static async Task<RecoveryTestResult> RunAsync(
        RecoveryTestOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        try
        {
            (RecoveryTestResult result, RecoveryResult? recovery) = await new Run(options, observer).ExecuteAsync(cancellationToken).ConfigureAwait(false);
            Repository certificates = options.Certificates ?? options.Repository;
            await RecoveryCertificates.WriteAsync(certificates, result, cancellationToken).ConfigureAwait(false);
            if (recovery is not null && result.Outcome != CheckOutcomes.Failed)
            {
                // Objectives go by what was measured and proven.
                await certificates.NoteAsync(options.Site, recovery, observer, cancellationToken).ConfigureAwait(false);
            }

            return result;
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    /// <summary>Whether an error says something about this host, the command or the way to the repository, and nothing about what is in it.</summary>
    private static bool KeepsFromTesting(SmcErrorCode code, RecoveryTestOptions options) => code switch
    {
        SmcErrorCode.InternalError or SmcErrorCode.ArgumentInvalid or SmcErrorCode.SecretUnavailable or SmcErrorCode.OperationStopped
            or SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageAccessDenied or SmcErrorCode.StorageFull
            or SmcErrorCode.RepositoryNotFound or SmcErrorCode.RepositoryFormatUnknown or SmcErrorCode.LocationInvalid
            or SmcErrorCode.KeyMissing or SmcErrorCode.KeyWrong or SmcErrorCode.KeyInvalid or SmcErrorCode.KeyNeeded or SmcErrorCode.KeyNotFound
            or SmcErrorCode.TargetUnsuitable or SmcErrorCode.TargetNotEmpty or SmcErrorCode.TargetInUse or SmcErrorCode.DiskSpaceInsufficient
            or SmcErrorCode.ProgramNotFound or SmcErrorCode.TargetTimeAmbiguous => true,
        // The cluster in which it was to be tested, and not what is tested there.
        SmcErrorCode.KubeconfigInvalid or SmcErrorCode.ClusterUnavailable or SmcErrorCode.ClusterAuthenticationFailed or SmcErrorCode.ClusterForbidden
            or SmcErrorCode.ResourceNotFound or SmcErrorCode.ResourceConflict or SmcErrorCode.ResourceInvalid or SmcErrorCode.QuotaExceeded
            or SmcErrorCode.AdmissionRefused or SmcErrorCode.NamespaceTerminating or SmcErrorCode.WorkloadUnsuitable or SmcErrorCode.VolumeInUse
            or SmcErrorCode.PodNotStarted or SmcErrorCode.PodStreamBroken or SmcErrorCode.PodTransferFailed or SmcErrorCode.PodCommandFailed
            or SmcErrorCode.OperationInProgress => options.Pod is not null,
        // A wrong wish of the operator's; but that there is no backup at all, or none of a point that was drawn from the windows, is a finding.
        SmcErrorCode.BackupNotFound => options.BackupId is not null,
        SmcErrorCode.TargetOutsideWindow or SmcErrorCode.TargetNotReached => options.Target is not null,
        _ => false,
    };

    /// <summary>One test.</summary>
    private sealed class Run(RecoveryTestOptions options, IOperationObserver observer)
    {
        private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
        private readonly long _clock = TimeProvider.System.GetTimestamp();
        private readonly List<CheckResult> _checks = [];
        private readonly List<TableRowCount> _tables = [];
        private RecoveryTarget _target = options.Target ?? (options.BackupId is null ? RecoveryTarget.Latest : RecoveryTarget.Immediate);
        private BackupHeader? _backup;
        private RecoveryResult? _recovery;
        private double? _checkSeconds;

        public async Task<(RecoveryTestResult Result, RecoveryResult? Recovery)> ExecuteAsync(CancellationToken cancellationToken)
        {
            observer.Progress(new OperationProgress(Activity, "Looking at what can be recovered"));
            IReadOnlyList<RecoveryWindow> windows = await ListWindowsAsync(cancellationToken).ConfigureAwait(false);
            ulong? systemId = windows.Count > 0 ? ulong.Parse(windows[^1].SystemId, CultureInfo.InvariantCulture) : null;
            if (options.IsRandom)
            {
                _target = Draw(windows) is { } drawn ? RecoveryTarget.AtTime(drawn) : RecoveryTarget.Latest;
                observer.Verbose($"The point that was drawn is {_target}.");
            }

            await CheckWindowAsync(windows, cancellationToken).ConfigureAwait(false);
            RecoveryTestResult? last = options.IsWhole ? await FindLastAsync(cancellationToken).ConfigureAwait(false) : null;
            ISideInstance? instance = await RecoverAsync(systemId, cancellationToken).ConfigureAwait(false);
            if (instance is not null)
            {
                await using (instance.ConfigureAwait(false))
                {
                    long clock = TimeProvider.System.GetTimestamp();
                    _recovery = instance.Recovery;
                    await LookAsync(instance, last, cancellationToken).ConfigureAwait(false);
                    _checkSeconds = Seconds(clock);
                }
            }

            return (ToResult(), _recovery);
        }

        private static double Seconds(long since) => Math.Round(TimeProvider.System.GetElapsedTime(since).TotalSeconds, 3);

        private async Task<IReadOnlyList<RecoveryWindow>> ListWindowsAsync(CancellationToken cancellationToken)
        {
            List<RecoveryWindow> windows = [];
            await foreach (RecoveryWindow window in WalWindows.ListAsync(options.Repository, observer, cancellationToken).ConfigureAwait(false))
            {
                windows.Add(window);
            }

            return windows;
        }

        /// <summary>An instant of the windows, each as likely as any other; null where they hold none.</summary>
        private DateTimeOffset? Draw(IReadOnlyList<RecoveryWindow> windows)
        {
            List<(DateTimeOffset From, DateTimeOffset To)> spans = [];
            foreach (RecoveryWindow window in windows
                .Where(window => window.SystemId == windows[^1].SystemId && window.LatestTime > window.EarliestTime)
                .OrderBy(static window => window.EarliestTime))
            {
                if (spans.Count > 0 && window.EarliestTime <= spans[^1].To)
                {
                    spans[^1] = (spans[^1].From, window.LatestTime!.Value > spans[^1].To ? window.LatestTime.Value : spans[^1].To);
                }
                else
                {
                    spans.Add((window.EarliestTime, window.LatestTime!.Value));
                }
            }

            long point = options.Random.NextInt64(Math.Max(1, spans.Sum(static span => (span.To - span.From).Ticks)));
            foreach ((DateTimeOffset from, DateTimeOffset to) in spans)
            {
                if (point < (to - from).Ticks)
                {
                    return from.AddTicks(point);
                }

                point -= (to - from).Ticks;
            }

            return null;
        }

        /// <summary>What is missing in the newest window is news even where the point that is tested lies before it.</summary>
        private async Task CheckWindowAsync(IReadOnlyList<RecoveryWindow> windows, CancellationToken cancellationToken)
        {
            BackupEntry? newest = null;
            await foreach (BackupEntry backup in options.Repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
            {
                // One whose marker cannot be believed any more was one to count on, by what its claim says.
                bool isBase = backup.Header?.Database is not null ||
                    backup is { Problem: not null, Start: { Kind: not (BackupKinds.Logical or BackupKinds.Emergency) } };
                newest = isBase ? backup : newest;
            }

            if (newest is null)
            {
                // The recovery says so.
                return;
            }

            RecoveryWindow? window = windows.LastOrDefault(window => window.BackupId == newest.Id);
            if (window is null)
            {
                BackupVerification verification = new(options.Repository, new BackupVerificationOptions(), observer);
                List<string> problems = [];
                await foreach (BackupTestResult test in verification
                    .RunAsync([(Component.Database, newest.Id)], cancellationToken).ConfigureAwait(false))
                {
                    problems.AddRange(test.Problems.Select(static problem => problem.ToString()));
                }

                Add(
                    "Window",
                    newest.Id,
                    CheckFinding.Failed(
                        $"The newest base backup '{newest.Id}' cannot be recovered: {(problems.Count == 0 ? "the log that it needs is not whole." : Some(problems))}",
                        "Take a base backup now. Run Get-SmcWalArchive to see what became of the log."),
                    0);
                return;
            }

            string latest = DisplayText.Time(window.LatestTime ?? window.EarliestTime);
            Add(
                "Window",
                newest.Id,
                window.Gap is null
                    ? CheckFinding.Passed($"Every instant from {DisplayText.Time(window.EarliestTime)} to {latest} can be recovered.")
                    : CheckFinding.Failed(
                        $"The log behind the newest base backup '{newest.Id}' is not whole: {window.Gap} is missing, so that nothing after {latest} can be recovered.",
                        "Take a base backup now. Run Get-SmcWalArchive to see what became of the segment."),
                0);
        }

        private async Task<RecoveryTestResult?> FindLastAsync(CancellationToken cancellationToken)
        {
            IReadOnlyList<RecoveryTestResult> earlier = await RecoveryCertificates
                .ListAsync(options.Certificates ?? options.Repository, options.Site, 50, observer, cancellationToken).ConfigureAwait(false);
            return earlier.FirstOrDefault(static result => result.Outcome != CheckOutcomes.Failed && result.Tables.Count > 0);
        }

        private async Task<ISideInstance?> RecoverAsync(ulong? systemId, CancellationToken cancellationToken)
        {
            long clock = TimeProvider.System.GetTimestamp();
            try
            {
                SideInstanceOptions side = new()
                {
                    Repository = options.Repository,
                    BackupId = options.BackupId,
                    SystemId = options.BackupId is null ? systemId : null,
                    Site = options.Site,
                    Target = _target,
                    WorkDirectory = options.WorkDirectory,
                    BinDirectory = options.BinDirectory,
                    OsUser = options.OsUser,
                    // amcheck is an extension, which is installed in a transaction that is rolled back.
                    ReadWrite = true,
                    Planned = plan => _backup = plan.Backup,
                };
                ISideInstance instance = options.Pod is { } pod
                    ? await PodSideInstance.StartAsync(pod, side, observer, cancellationToken).ConfigureAwait(false)
                    : await SideInstance.StartAsync(side, observer, cancellationToken).ConfigureAwait(false);
                RecoveryResult recovery = instance.Recovery;
                Add(
                    "Recovery",
                    recovery.BackupId,
                    CheckFinding.Passed(
                        $"The server came up from the backup '{recovery.BackupId}' in {DisplayText.Duration(recovery.Duration)}, " +
                        $"at {recovery.RecoveredLsn ?? "an unknown position"}" +
                        (recovery.RecoveredTime is { } time ? $", with the last commit of {DisplayText.Time(time)}." : ", without a commit after the backup.")),
                    Seconds(clock));
                return instance;
            }
            catch (SmcException e) when (!KeepsFromTesting(e.Code, options))
            {
                Add(
                    "Recovery",
                    _backup?.Id ?? options.BackupId ?? options.Site,
                    CheckFinding.Failed($"{SmcErrors.Get(e.Code).ErrorId}: {e.Message}", e.Recommendation),
                    Seconds(clock));
                return null;
            }
        }

        private async Task LookAsync(ISideInstance instance, RecoveryTestResult? last, CancellationToken cancellationToken)
        {
            PostgresConnector server = instance.Connector;
            List<string> databases = [];
            await CheckAsync("Databases", options.Site, server, async () =>
            {
                databases = await ListDatabasesAsync(server, cancellationToken).ConfigureAwait(false);
                return CheckFinding.Passed($"{databases.Count} databases take sessions: {string.Join(", ", databases)}.");
            }).ConfigureAwait(false);
            if (options.IsWhole)
            {
                foreach (string database in databases)
                {
                    observer.Progress(new OperationProgress(Activity, $"Reading every table and index of '{database}'"));
                    await CheckAsync("Integrity", database, server, () => CheckIntegrityAsync(server, database, cancellationToken)).ConfigureAwait(false);
                    observer.Progress(new OperationProgress(Activity, $"Counting the rows of '{database}'"));
                    await CheckAsync("Rows", database, server, () => CheckRowsAsync(server, database, last, cancellationToken)).ConfigureAwait(false);
                }
            }

            foreach (SqlCheck check in options.Checks)
            {
                string database = options.Database ?? "postgres";
                observer.Progress(new OperationProgress(Activity, $"Asking {check.Query}"));
                await CheckAsync("Sql", database, server, () => SqlQuestion.AskAsync(
                    server.WithDatabase(database),
                    check,
                    options.QueryTimeout,
                    "Test an earlier point (-TargetTime) to find the last one at which it was right; Find-SmcTransaction shows what was removed since.",
                    cancellationToken)).ConfigureAwait(false);
            }

            if (options.Objective is { } objective)
            {
                TimeSpan took = instance.Recovery.Duration;
                Add(
                    "Objective",
                    options.Site,
                    took <= objective
                        ? CheckFinding.Passed($"The recovery took {DisplayText.Duration(took)}, of {DisplayText.Duration(objective)} that it may take.")
                        : CheckFinding.Warning(
                            $"The recovery took {DisplayText.Duration(took)}, and may take {DisplayText.Duration(objective)}.",
                            "Take base backups more often, so that less WAL is replayed; or recover on a host with faster disks, or with -Delta over the old directory."),
                    0);
            }
        }

        private static async Task<List<string>> ListDatabasesAsync(PostgresConnector server, CancellationToken cancellationToken)
        {
            NpgsqlConnection connection = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                using NpgsqlCommand command = new(
                    "SELECT datname::text FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1", connection);
                return await TableRows.ReadAsync(command, static reader => reader.GetString(0), cancellationToken).ConfigureAwait(false);
            }
        }

        private async Task<CheckFinding> CheckIntegrityAsync(PostgresConnector server, string database, CancellationToken cancellationToken)
        {
            NpgsqlConnection connection = await server.WithDatabase(database).OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                if (!await ClusterIntegrity.HasAmcheckAsync(connection, cancellationToken).ConfigureAwait(false))
                {
                    return CheckFinding.Warning(
                        "Tables and indexes were not read: PostgreSQL's extension 'amcheck' is not installed on this host.",
                        "Install PostgreSQL's contrib modules (package postgresql-contrib).");
                }
            }

            (int relations, IReadOnlyList<string> problems) = await ClusterIntegrity
                .AmcheckAsync(server, database, options.QueryTimeout, cancellationToken).ConfigureAwait(false);
            return problems.Count == 0
                ? CheckFinding.Passed($"amcheck finds nothing wrong in {relations} tables and indexes.")
                : CheckFinding.Failed(
                    $"amcheck finds {problems.Count} faults in {relations} tables and indexes: {Some(problems)}",
                    "Test an earlier backup to find out since when. If the server has the same faults, they are its own: see its hardware, and rebuild the indexes.");
        }

        /// <summary>Counts all rows, and compares them with those of the last test that passed: a backup is faithful to a table that was emptied before it.</summary>
        private async Task<CheckFinding> CheckRowsAsync(
            PostgresConnector server, string database, RecoveryTestResult? last, CancellationToken cancellationToken)
        {
            List<TableRowCount> tables = await TableRows
                .CountAsync(server.WithDatabase(database), database, options.QueryTimeout, cancellationToken).ConfigureAwait(false);
            _tables.AddRange(tables);
            string found = string.Create(CultureInfo.InvariantCulture, $"{tables.Count} tables hold {tables.Sum(static table => table.RowCount):N0} rows");
            if (last is null || last.SystemId != _backup?.Database?.SystemId)
            {
                return CheckFinding.Passed($"{found}. The next test compares its own with them.");
            }

            // An older state rightly holds less.
            if (TableRows.IsOlder(_recovery!.RecoveredLsn, _recovery.RecoveredTime, last))
            {
                return CheckFinding.Passed($"{found}. They are not compared with the test '{last.TestId}', which recovered a later state.");
            }

            return TableRows.Compare(found, database, tables, last, Some);
        }

        private static string Some(IReadOnlyList<string> problems) =>
            string.Join("; ", problems.Take(5)) + (problems.Count > 5 ? $"; and {problems.Count - 5} more." : ".");

        private async Task CheckAsync(string name, string target, PostgresConnector server, Func<Task<CheckFinding>> check) =>
            _checks.Add(await new CheckRun(target, TimeProvider.System).CheckAsync(name, check, server).ConfigureAwait(false));

        private void Add(string name, string target, CheckFinding finding, double seconds) => _checks.Add(new CheckResult
        {
            Name = name,
            Target = target,
            Outcome = finding.Outcome,
            Message = finding.Message,
            Recommendation = finding.Recommendation,
            DurationSeconds = seconds,
        });

        private RecoveryTestResult ToResult() => new()
        {
            TestId = RepositoryKeys.NewStamp(_start),
            Site = options.Site,
            Component = nameof(Component.Database),
            Outcome = _checks.Exists(static check => check.Outcome == CheckOutcomes.Failed) ? CheckOutcomes.Failed
                : _checks.Exists(static check => check.Outcome == CheckOutcomes.Warning) ? CheckOutcomes.Warning
                : CheckOutcomes.Passed,
            BackupId = _backup?.Id ?? options.BackupId,
            SystemId = _backup?.Database?.SystemId,
            TargetKind = _target.Kind.ToString(),
            Target = _target.Kind == RecoveryTargetKind.Immediate ? null : _target.Value,
            RecoveredTime = _recovery?.RecoveredTime,
            RecoveredLsn = _recovery?.RecoveredLsn,
            StartTime = _start,
            Duration = TimeProvider.System.GetElapsedTime(_clock),
            RecoverySeconds = _recovery is null ? null : Math.Round(_recovery.DurationSeconds, 3),
            RestoreSeconds = _recovery is null ? null : Math.Round(_recovery.RestoreSeconds, 3),
            ReplaySeconds = _recovery is null ? null : Math.Round(_recovery.ReplaySeconds, 3),
            CheckSeconds = _checkSeconds,
            ObjectiveSeconds = options.Objective?.TotalSeconds,
            RestoredBytes = _recovery?.RestoredBytes ?? 0,
            WalBytes = _recovery?.WalBytes ?? 0,
            Checks = _checks,
            Tables = _tables,
            Repository = options.Repository.Location,
            By = $"{Environment.UserName}@{Environment.MachineName}",
        };
    }
}
