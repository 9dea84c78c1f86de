using System.CommandLine.Parsing;
using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr restore database</c>.</summary>
internal sealed class RestoreDatabaseCommand : CliCommand
{
    private readonly Option<string?> _backup = new("--backup")
    {
        Description = "The base backup to begin with. Default: the newest that is old enough for the target.",
        HelpName = "ID",
    };

    private readonly Option<string?> _time = new("--target-time")
    {
        Description = "Recover to this instant, with Z or an offset, such as 2026-11-05T10:00:00Z.",
        HelpName = "TIME",
    };

    private readonly Option<Lsn?> _lsn = new("--target-lsn")
    {
        Description = "Recover to this position in the write-ahead log.",
        HelpName = "LSN",
        CustomParser = ArgumentParsers.Lsn,
    };

    private readonly Option<string?> _name = new("--target-name")
    {
        Description = "Recover to this restore point.",
        HelpName = "NAME",
    };

    private readonly Option<uint?> _xid = new("--target-xid") { Description = "Recover to this transaction.", HelpName = "XID" };
    private readonly Option<bool> _exclusive = new("--exclusive") { Description = "Stop just before the target instead of just after it." };
    private readonly Option<bool> _latest = new("--latest") { Description = "Recover to the end of the archive. The default." };
    private readonly Option<bool> _immediate = new("--immediate") { Description = "Recover to the end of the base backup." };
    private readonly Option<string?> _dataDirectory = new("--data-directory")
    {
        Description = "The directory to restore to. Default: the site's.",
        HelpName = "PATH",
    };

    private readonly Option<string[]> _tablespaces = new("--tablespace")
    {
        Description = "Where a tablespace goes, by its object id or name. Can be given again.",
        HelpName = "OID=PATH",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<bool> _force = new("--force") { Description = "Move aside what is in the way. Nothing is deleted." };
    private readonly Option<bool> _delta = new("--delta")
    {
        Description = "Make the data directory right in place: keep what is right in it, overwrite or remove the rest, without a copy.",
    };

    private readonly Option<bool> _side = new("--side-instance")
    {
        Description = "Isolate it from production for good: a copy to look at. Needs --data-directory.",
    };

    private readonly Option<int?> _port = new("--port") { Description = "The port of the side instance. Default: 5432.", HelpName = "N" };
    private readonly Option<bool> _listen = new("--listen-locally")
    {
        Description = "Let the side instance take connections at 127.0.0.1, with passwords.",
    };

    private readonly Option<bool> _noStart = new("--no-start") { Description = "Leave the recovered server stopped." };
    private readonly Option<bool> _leaveWriters = new("--leave-writers") { Description = "Do not stop the site's writers in Kubernetes." };
    private readonly Option<string[]> _databases = new("--database")
    {
        Description = "Of a logical backup, this database. Can be given again. Default: all.",
        HelpName = "NAME",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<string?> _targetDatabase = new("--target-database")
    {
        Description = "Of a logical backup, the database to restore to. Default: the one of the same name.",
        HelpName = "NAME",
    };

    private readonly Option<bool> _clean = new("--clean") { Description = "Of a logical backup, replace what is there." };
    private readonly Option<string[]> _tables = new("--table")
    {
        Description = "Of a logical backup, only this table with all that belongs to it. Can be given again.",
        HelpName = "NAME",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<string[]> _schemas = new("--schema")
    {
        Description = "Of a logical backup, only this schema. Can be given again.",
        HelpName = "NAME",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<bool> _globals = new("--globals") { Description = "Of a logical backup, restore roles and tablespaces first." };
    private readonly Option<bool> _noOwner = new("--no-owner") { Description = "Of a logical backup, give everything to the user that restores." };
    private readonly Option<int?> _parallelism = new("--parallelism", "-j")
    {
        Description = "How much is restored at a time. Default: what fits this machine; one table of a logical backup.",
        HelpName = "N",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be done, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public RestoreDatabaseCommand(CliHost host)
        : base(host, "database", "Restores the database on this host and recovers it to a target, or restores a logical backup.")
    {
        foreach (Option option in new Option[]
        {
            _backup, _time, _lsn, _name, _xid, _exclusive, _latest, _immediate, _dataDirectory, _tablespaces, _force, _delta, _side, _port, _listen,
            _noStart, _leaveWriters, _databases, _targetDatabase, _clean, _tables, _schemas, _globals, _noOwner, _parallelism, _dryRun, _yes, GlobalOptions.Json,
        })
        {
            Options.Add(option);
        }

        Option[] targets = [_time, _lsn, _name, _xid, _latest, _immediate];
        Validators.Add(result =>
        {
            string[] given = [.. targets.Where(option => result.GetResult(option) is { Implicit: false }).Select(static option => option.Name)];
            if (given.Length > 1)
            {
                result.AddError($"{string.Join(" and ", given)} cannot be given together: a recovery has one target.");
            }
        });
        _tablespaces.Validators.Add(static result =>
        {
            foreach (Token token in result.Tokens.Where(static token => token.Value.IndexOf('=', StringComparison.Ordinal) < 1 || token.Value.EndsWith('=')))
            {
                result.AddError($"'{token.Value}' is not a tablespace and its place, such as 16385=/srv/fast.");
            }
        });
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        BackupReader? logical = context.Parsed.GetValue(_backup) is { } id
            ? await repository.TryOpenLogicalBackupAsync(id, cancellationToken).ConfigureAwait(false)
            : null;
        ThrowIfGiven(
            context.Parsed,
            logical is null
                ? [_databases, _targetDatabase, _clean, _tables, _schemas, _globals, _noOwner]
                : [_time, _lsn, _name, _xid, _exclusive, _latest, _immediate, _dataDirectory, _tablespaces, _force, _delta, _side, _port, _listen,
                    _noStart, _leaveWriters],
            logical is null);
        if (logical is not null)
        {
            return await RestoreLogicalAsync(context, site, logical, cancellationToken).ConfigureAwait(false);
        }

        RecoveryRequest request = Bind(context, site, repository);
        if (site.RecoversInPod(context.Parsed.GetValue(_dataDirectory)))
        {
            PodRecoveryPlan inPod = await context.ObserveAsync(observer => PodRecovery.PlanAsync(
                site.CreatePodRecoveryRequest(request, context.Secrets, observer), observer, cancellationToken)).ConfigureAwait(false);
            return await CarryOutAsync(
                context,
                inPod.Recovery,
                [.. inPod.Describe()],
                inPod.IsDone ? null : $"The database in '{inPod.Request.Workload}' will be stopped, and replaced.",
                observer => ExecuteAsync(observer, () => PodRecovery.ExecuteAsync(inPod, observer, cancellationToken)),
                cancellationToken).ConfigureAwait(false);
        }

        RecoveryPlan plan = await context.ObserveAsync(
            observer => DatabaseRecovery.PlanAsync(request, observer, cancellationToken)).ConfigureAwait(false);
        return await CarryOutAsync(
            context,
            plan,
            [.. plan.Describe()],
            // Where nothing is in the way nothing can be lost, and a script needs no --yes.
            plan.IsDestructive || context.Host.IsInteractive ? $"The database in '{plan.DataDirectory}' will be replaced." : null,
            observer => ExecuteAsync(observer, () => DatabaseRecovery.ExecuteAsync(plan, observer, cancellationToken)),
            cancellationToken).ConfigureAwait(false);

        async Task<RecoveryResult> ExecuteAsync(IOperationObserver observer, Func<Task<RecoveryResult>> execute)
        {
            RecoveryResult result = await execute().ConfigureAwait(false);
            // Not stopped any more: the recovery is done, and its result is to be seen.
            await repository.NoteAsync(site.Name, result, observer, CancellationToken.None).ConfigureAwait(false);
            return result;
        }
    }

    /// <summary>Shows a plan, asks, carries it out and writes the result.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="lines">It in lines.</param>
    /// <param name="question">What is to be confirmed; null = nothing.</param>
    /// <param name="execute">Carries it out.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    private async Task<int> CarryOutAsync(
        CliContext context,
        RecoveryPlan plan,
        string[] lines,
        string? question,
        Func<IOperationObserver, Task<RecoveryResult>> execute,
        CancellationToken cancellationToken)
    {
        bool isDryRun = context.Parsed.GetValue(_dryRun);
        foreach (string line in isDryRun && context.Json ? [] : lines)
        {
            await (isDryRun ? context.Host.Out : context.Host.Error).WriteLineAsync(ErrorText.OneLine(line)).ConfigureAwait(false);
        }

        if (isDryRun)
        {
            if (context.Json)
            {
                JsonOutput.Write(context.Host.Out, Summary(plan, lines), indent: context.Host.IsOutTerminal);
            }

            return ExitCodes.Success;
        }

        if (question is not null && !await context.ConfirmAsync(question, context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        RecoveryResult result = await context.ObserveAsync(execute).ConfigureAwait(false);
        context.Write(result, static (writer, result) => TableOutput.WriteProperties(
            writer,
            ("Recovered to", result.Target ?? result.TargetKind),
            ("Last commit", DisplayText.Time(result.RecoveredTime)),
            ("Backup", result.BackupId),
            ("Workload", result.Workload),
            ("Data directory", result.DataDirectory),
            ("Previous one", result.PreviousDataDirectory),
            ("Timeline", result.Timeline?.ToString(CultureInfo.InvariantCulture)),
            ("Took", DisplayText.Duration(result.Duration)),
            ("Collations", result.CollationChanges.Count == 0 ? null : string.Join("; ", result.CollationChanges)),
            ("Server", result.ServerRunning ? "running" : "stopped"),
            ("Connect", result.Host is null ? null : FormattableString.Invariant($"psql --host {result.Host} --port {result.Port}")),
            ("Next", result.Host is not null ? null : "take a new base backup: 'smcdr backup database'")));
        return ExitCodes.Success;
    }

    private static void ThrowIfGiven(ParseResult parsed, Option[] options, bool isPhysical)
    {
        string[] given = [.. options.Where(option => parsed.GetResult(option) is { Implicit: false }).Select(static option => option.Name)];
        if (given.Length > 0)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                isPhysical
                    ? $"{string.Join(" and ", given)} cannot be used with a physical backup."
                    : $"{string.Join(" and ", given)} cannot be used with a logical backup.",
                recommendation: isPhysical ? "Name a logical backup by --backup; 'smcdr backup list' shows them." : "Leave it out, or name a physical backup by --backup.");
        }
    }

    private async Task<int> RestoreLogicalAsync(CliContext context, Site site, BackupReader backup, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        PostgresConnector connector = site.CreateConnector(context.Secrets);
        LogicalRestoreOptions options = new()
        {
            Databases = parsed.GetValue(_databases)!,
            TargetDatabase = parsed.GetValue(_targetDatabase),
            Clean = parsed.GetValue(_clean),
            Tables = parsed.GetValue(_tables)!,
            Schemas = parsed.GetValue(_schemas)!,
            Globals = parsed.GetValue(_globals),
            NoOwner = parsed.GetValue(_noOwner),
            Parallelism = parsed.GetValue(_parallelism) ?? 1,
            BinDirectory = site.GetDatabase().BinDirectory,
        };
        LogicalRestorePlan plan = await context.ObserveAsync(
            observer => LogicalRestore.PlanAsync(connector, backup, options, observer, cancellationToken)).ConfigureAwait(false);
        bool isDryRun = parsed.GetValue(_dryRun);
        string[] lines = [.. plan.Describe()];
        if (isDryRun && context.Json)
        {
            JsonOutput.Write(
                context.Host.Out,
                new { plan.BackupId, plan.Server, Databases = plan.Items.Select(static item => new { item.Source.Name, item.Target, item.Mode }), Steps = lines },
                indent: context.Host.IsOutTerminal);
            return ExitCodes.Success;
        }

        foreach (string line in lines)
        {
            await (isDryRun ? context.Host.Out : context.Host.Error).WriteLineAsync(ErrorText.OneLine(line)).ConfigureAwait(false);
        }

        if (isDryRun)
        {
            return ExitCodes.Success;
        }

        bool isAsked = plan.IsDestructive || context.Host.IsInteractive;
        if (isAsked && !await context.ConfirmAsync(
            $"What is there at {plan.Server} will be replaced.", parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        IReadOnlyList<DatabaseRestoreResult> results = await context.ObserveAsync(
            observer => LogicalRestore.RunAsync(plan, connector, observer, cancellationToken)).ConfigureAwait(false);
        context.Write(results, static (writer, results) =>
        {
            foreach (DatabaseRestoreResult result in results)
            {
                DatabaseRestoreDisplay.Write(writer, result);
            }
        });
        return results.Any(static result => result.State == "Different") ? ExitCodes.Partial : ExitCodes.Success;
    }

    private static object Summary(RecoveryPlan plan, string[] lines) => new
    {
        BackupId = plan.Backup.Id,
        TargetKind = plan.Target.Kind.ToString(),
        Target = plan.Target.Value,
        Timeline = (int)plan.Timeline,
        EndLsn = plan.EndLsn.ToString(),
        plan.EarliestTime,
        plan.LatestTime,
        plan.RestoreBytes,
        plan.WalBytes,
        plan.DataDirectory,
        Moves = plan.Moves.Select(static move => new { move.Path, move.Destination }),
        plan.Warnings,
        Steps = lines,
    };

    private RecoveryRequest Bind(CliContext context, Site site, Repository repository)
    {
        ParseResult parsed = context.Parsed;
        string? directory = parsed.GetValue(_dataDirectory) is { } given ? context.FullPath(given) : null;
        return site.CreateRecoveryRequest(repository, directory) with
        {
            BackupId = parsed.GetValue(_backup),
            Target = Target(parsed) with { Inclusive = !parsed.GetValue(_exclusive) },
            Tablespaces = parsed.GetValue(_tablespaces)!
                .Select(static text => text.Split('=', 2))
                .ToDictionary(static pair => pair[0], pair => context.FullPath(pair[1]), StringComparer.Ordinal),
            Force = parsed.GetValue(_force),
            Delta = parsed.GetValue(_delta),
            Isolation = ServerIsolation.Create(
                parsed.GetValue(_side), parsed.GetValue(_port), parsed.GetValue(_listen), directory, site.GetDatabase().DataDirectory),
            KeepRunning = !parsed.GetValue(_noStart),
            Writers = parsed.GetValue(_leaveWriters) ? null : site.CreateWritersOf(directory, context.CreatePlainObserver()),
            Parallelism = parsed.GetValue(_parallelism),
        };
    }

    private RecoveryTarget Target(ParseResult parsed) =>
        // Parsed here and not as an argument: an ambiguous time is an error of its own, with its own exit code.
        parsed.GetValue(_time) is { } time ? RecoveryTarget.AtTime(InstantText.Parse(time))
        : parsed.GetValue(_lsn) is { } lsn ? RecoveryTarget.AtLsn(lsn)
        : parsed.GetValue(_name) is { } name ? RecoveryTarget.AtName(name)
        : parsed.GetValue(_xid) is { } xid ? RecoveryTarget.AtXid(xid)
        : parsed.GetValue(_immediate) ? RecoveryTarget.Immediate
        : RecoveryTarget.Latest;
}
