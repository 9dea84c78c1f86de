using System.Globalization;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>
/// Brings one database back from a logical backup while the server and its other databases stay as they are: check, emergency backup of what
/// is there, nobody let in, restore, count, let in.
/// </summary>
/// <remarks>
/// The present database is never dropped. It is closed and renamed, and whatever fails afterwards, the error says under which name it is and
/// which two commands bring it back.
/// </remarks>
public static class DatabaseOnlyRecovery
{
    internal const string Activity = "Database recovery";
    private static readonly TimeSpan s_cleanUpTime = TimeSpan.FromSeconds(60);

    /// <summary>Checks what can be checked, and says what would be done.</summary>
    public static async Task<DatabaseRecoveryPlan> PlanAsync(
        PostgresConnector connector,
        Repository repository,
        DatabaseRecoveryOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        BackupReader backup = await repository.OpenBackupAsync(
            Component.Database,
            options.BackupId ?? await ChooseAsync(repository, options.Database, cancellationToken).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
        LogicalRestorePlan restore = await LogicalRestore.PlanAsync(
            connector,
            backup,
            new LogicalRestoreOptions
            {
                Databases = [options.Database],
                Clean = true,
                Parallelism = options.Parallelism,
                NoOwner = options.NoOwner,
                BinDirectory = options.BinDirectory,
            },
            observer,
            cancellationToken).ConfigureAwait(false);
        return new DatabaseRecoveryPlan
        {
            Options = options,
            // An empty database is replaced like any other, so that there is one way only.
            Restore = restore with
            {
                Items = [restore.Items[0] with { Mode = restore.Items[0].Mode == LogicalRestoreMode.Create ? LogicalRestoreMode.Create : LogicalRestoreMode.Replace }],
            },
            PreviousDatabase = restore.Items[0].Mode == LogicalRestoreMode.Create ? null : Sql.WithSuffix(options.Database, $"_before_{LogicalRestore.Stamp()}"),
        };
    }

    /// <summary>Carries the plan out.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="connector">The server.</param>
    /// <param name="openRepository">
    /// Opens where the emergency backup goes. Only then: the backup may be read from a copy, since the repository does not answer.
    /// </param>
    /// <param name="observer">Hears how far it is.</param>
    /// <param name="cancellationToken">Stops the work, and takes back what can be taken back.</param>
    /// <exception cref="SmcException">The message says what failed, and where that is after the renaming, how to go back.</exception>
    public static async Task<DatabaseRestoreResult> RunAsync(
        DatabaseRecoveryPlan plan,
        PostgresConnector connector,
        Func<CancellationToken, Task<Repository>> openRepository,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(openRepository);
        ArgumentNullException.ThrowIfNull(observer);
        Run run = new(plan, connector, openRepository, observer);
        try
        {
            return await run.ExecuteAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or NpgsqlException or OperationCanceledException)
        {
            Exception failure = await run.UndoAsync(e is NpgsqlException ? connector.Translate(e) : e).ConfigureAwait(false);
            if (failure == e)
            {
                throw;
            }

            throw failure;
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    private static async Task<string> ChooseAsync(Repository repository, string database, CancellationToken cancellationToken)
    {
        string? newest = null;
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            // An emergency backup shows the damage; it is restored only where somebody names it.
            if (entry.Header is { Kind: BackupKinds.Logical, Logical: { IsPartial: false } logical } && logical.Databases.Any(candidate => candidate.Name == database))
            {
                newest = entry.Id;
            }
        }

        return newest ?? throw new SmcException(
            SmcErrorCode.BackupNotFound,
            $"No complete logical backup in {repository.Location} holds the database '{database}'.",
            recommendation: "See what there is with Get-SmcBackup (or 'smcdr backup list'); an emergency backup is used only where its id is given.",
            target: database);
    }

    private sealed class Run(
        DatabaseRecoveryPlan plan,
        PostgresConnector connector,
        Func<CancellationToken, Task<Repository>> openRepository,
        IOperationObserver observer)
    {
        private readonly StepLog _steps = new(Activity, observer);
        private readonly LogicalRestoreItem _item = plan.Restore.Items[0];
        private readonly string _beside = Sql.WithSuffix(plan.Options.Database, $"_restoring_{plan.Restore.BackupId[..16]}");
        private RestoreWork? _work;
        private string? _emergencyId;
        private bool _isSuspended;
        private bool _isClosed;
        private bool _isRenamed;
        private bool _isInPlace;

        private string Database => plan.Options.Database;

        public async Task<DatabaseRestoreResult> ExecuteAsync(CancellationToken cancellationToken)
        {
            using ClientEnvironment environment = await ClientEnvironment.CreateAsync(connector, cancellationToken).ConfigureAwait(false);
            _work = new RestoreWork(plan.Restore, _item, connector, environment, observer, Activity);
            DatabaseAdministration administration = await DatabaseAdministration
                .OpenAsync(connector, Database, observer, cancellationToken).ConfigureAwait(false);
            await using (administration.ConfigureAwait(false))
            {
                await _steps.RunAsync("Check", () => Task.FromResult(
                    $"The backup '{plan.Restore.BackupId}' holds '{Database}' as of {DisplayText.Time(_item.Source.SnapshotTime)}, and the server has what it needs."))
                    .ConfigureAwait(false);
                if (plan.Options.Writers is { } writers)
                {
                    _isSuspended = true;
                    await _steps.RunAsync("Stop writers", async () =>
                    {
                        await writers.SuspendAsync(cancellationToken).ConfigureAwait(false);
                        return $"Stopped: {string.Join(", ", writers.Names)}.";
                    }).ConfigureAwait(false);
                }

                if (plan.PreviousDatabase is { } previous)
                {
                    await PreserveAsync(administration, previous, cancellationToken).ConfigureAwait(false);
                }

                await _steps.RunAsync("Create", () => _work.CreateAsync(administration, _beside, cancellationToken)).ConfigureAwait(false);
                await _steps.RunAsync("Restore", () => _work.RestoreAsync(_beside, cancellationToken)).ConfigureAwait(false);
                // Before anybody is let in: what is wrong must not be written to.
                await _steps.RunAsync("Integrity report", () => _work.CompareAsync(_beside, mustAgree: true, cancellationToken)).ConfigureAwait(false);
                await _steps.RunAsync("Allow connections", async () =>
                {
                    await administration
                        .ApplyPropertiesAsync(_beside, _item.Source, withOwner: !plan.Options.NoOwner, cancellationToken).ConfigureAwait(false);
                    await administration.RenameAsync(_beside, Database, cancellationToken).ConfigureAwait(false);
                    return $"The restored database is called '{Database}'.";
                }).ConfigureAwait(false);
                _isInPlace = true;
                if (plan.Options.Writers is { } stopped)
                {
                    _isSuspended = false;
                    await _steps.RunAsync("Start writers", async () =>
                    {
                        await stopped.ResumeAsync(cancellationToken).ConfigureAwait(false);
                        return $"Started: {string.Join(", ", stopped.Names)}.";
                    }).ConfigureAwait(false);
                }

                return _work.Result(_steps, plan.PreviousDatabase, _emergencyId);
            }
        }

        /// <summary>Cleans up, and makes of the failure one that says how to go back.</summary>
        public async Task<Exception> UndoAsync(Exception failure)
        {
            using CancellationTokenSource limit = new(s_cleanUpTime);
            try
            {
                DatabaseAdministration administration = await DatabaseAdministration
                    .OpenAsync(connector, Database, observer, limit.Token).ConfigureAwait(false);
                await using (administration.ConfigureAwait(false))
                {
                    await FindWhatWasDoneAsync(administration, limit.Token).ConfigureAwait(false);
                    if (_work?.HasCreated == true && !_isInPlace)
                    {
                        await administration.DropAsync(_beside, limit.Token).ConfigureAwait(false);
                    }

                    // Closed and not renamed yet: nothing was taken away, so it is opened again.
                    if (_isClosed && !_isRenamed && await administration.ExistsAsync(Database, limit.Token).ConfigureAwait(false))
                    {
                        await administration.OpenForConnectionsAsync(Database, limit.Token).ConfigureAwait(false);
                        _isClosed = false;
                    }
                }
            }
            catch (Exception e) when (e is SmcException or NpgsqlException or OperationCanceledException)
            {
                observer.Warning($"Not everything could be tidied up: {e.Message}");
            }

            string? state = Describe();
            if (state is null)
            {
                return failure;
            }

            observer.Warning(state);
            return failure is SmcException known
                ? new SmcException(known.Code, $"The step '{_steps.Current}' failed: {known.Message} {state}", known, $"{known.Recommendation} {GoBack()}".Trim(), Database)
                : failure;
        }

        /// <summary>A command whose answer was lost with the connection may have been carried out all the same.</summary>
        private async Task FindWhatWasDoneAsync(DatabaseAdministration administration, CancellationToken cancellationToken)
        {
            if (_isClosed && !_isRenamed && plan.PreviousDatabase is { } previous)
            {
                _isRenamed = !await administration.ExistsAsync(Database, cancellationToken).ConfigureAwait(false) &&
                    await administration.ExistsAsync(previous, cancellationToken).ConfigureAwait(false);
            }

            if (_work?.HasCreated == true && !_isInPlace)
            {
                _isInPlace = await administration.ExistsAsync(Database, cancellationToken).ConfigureAwait(false) &&
                    !await administration.ExistsAsync(_beside, cancellationToken).ConfigureAwait(false);
            }
        }

        private string? Describe()
        {
            string writers = _isSuspended && plan.Options.Writers is { } names
                ? $" The writers are still stopped: {string.Join(", ", names.Names)}."
                : "";
            return _isInPlace ? $"The restored database is in place and called '{Database}'.{writers}"
                : _isRenamed ? $"The earlier database is unharmed and called '{plan.PreviousDatabase}'.{writers}"
                : _isClosed ? $"The database '{Database}' is unharmed and takes no connections.{writers}"
                : writers.Length > 0 ? $"The database '{Database}' was not touched.{writers}"
                : null;
        }

        private string GoBack() =>
            _isInPlace ? ""
            : _isRenamed
                ? $"To go back: ALTER DATABASE {Sql.Name(plan.PreviousDatabase!)} RENAME TO {Sql.Name(Database)}; ALTER DATABASE {Sql.Name(Database)} ALLOW_CONNECTIONS true;"
            : _isClosed ? $"To go back: ALTER DATABASE {Sql.Name(Database)} ALLOW_CONNECTIONS true;"
            : "";

        private async Task PreserveAsync(DatabaseAdministration administration, string previous, CancellationToken cancellationToken)
        {
            if (!plan.Options.SkipEmergencyBackup)
            {
                await EmergencyBackupAsync(cancellationToken).ConfigureAwait(false);
            }

            await _steps.RunAsync("Close the database", async () =>
            {
                _isClosed = true;
                int ended = await administration.CloseAsync(Database, cancellationToken).ConfigureAwait(false);
                return string.Create(CultureInfo.InvariantCulture, $"Nobody is let in any more; {ended} sessions were ended.");
            }).ConfigureAwait(false);
            await _steps.RunAsync("Keep the old database", async () =>
            {
                await administration.RenameAsync(Database, previous, cancellationToken).ConfigureAwait(false);
                _isRenamed = true;
                return $"It is called '{previous}'.";
            }).ConfigureAwait(false);
        }

        private async Task EmergencyBackupAsync(CancellationToken cancellationToken)
        {
            try
            {
                await _steps.RunAsync("Emergency backup", async () =>
                {
                    BackupInfo backup = await LogicalBackup.RunAsync(
                        connector,
                        await openRepository(cancellationToken).ConfigureAwait(false),
                        new LogicalBackupOptions
                        {
                            Databases = [Database],
                            Emergency = true,
                            Label = $"Before the recovery of {Database}",
                            Site = plan.Options.Site,
                            BinDirectory = plan.Options.BinDirectory,
                        },
                        observer,
                        cancellationToken).ConfigureAwait(false);
                    _emergencyId = backup.Id;
                    return $"The present state is the backup '{backup.Id}' ({backup.State}).";
                }).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                // It may be too damaged to be read, which is why it is recovered. Its files stay: it is renamed, not dropped.
                _steps.Soften();
                observer.Warning($"There is no emergency backup of the present state, which is kept under another name only: {e.Message}");
            }
        }
    }
}
