using System.CommandLine;
using System.CommandLine.Help;
using SmcDr.Cli.Commands;
using SmcDr.Cli.Output;

namespace SmcDr.Cli;

/// <summary>The program: its commands, and what every one of them has in common.</summary>
internal sealed class CliApplication
{
    private readonly CliHost _host;
    private readonly Command _root;

    public CliApplication(CliHost host)
    {
        _host = host;
        // Not a RootCommand: that is called after its assembly, and help would not show the name that people type.
        _root = new Command("smcdr", "Backs up, restores and rehearses the recovery of a system on PostgreSQL and Redis.")
        {
            new Command("backup", "Takes and lists backups.")
            {
                new BackupDatabaseCommand(host),
                new BackupRedisCommand(host),
                new BackupConfigurationCommand(host),
                new BackupFileStoreCommand(host),
                new BackupListCommand(host),
                new BackupFailuresCommand(host),
            },
            new Command("copy", "Copies what is in the repository.")
            {
                new CopyBackupCommand(host),
            },
            new Command("site", "Shows and tests the site file.")
            {
                new SiteShowCommand(host),
                new SiteTestCommand(host),
            },
            new Command("enable", "Prepares what backups need.")
            {
                new EnablePitrCommand(host),
            },
            new Command("wal", "Streams, imports, lists and searches write-ahead log.")
            {
                new WalStreamCommand(host),
                new WalListCommand(host),
                new WalImportCommand(host),
                new WalFindCommand(host),
                new WalFetchCommand(host),
            },
            new Command("plan", "Shows what was planned and carried out, and goes on with it or takes it back.")
            {
                new PlanListCommand(host),
                new PlanShowCommand(host),
                PlanContinueCommand.Resume(host),
                PlanContinueCommand.Undo(host),
                new PlanStopCommand(host),
            },
            new Command("system", "Backs up, restores and checks the system as a whole.")
            {
                new SystemBackupCommand(host),
                new SystemRestoreCommand(host),
                new SystemTestCommand(host),
            },
            new Command("region", "Shows the regions, makes one follow another, and leads the site to another.")
            {
                new RegionListCommand(host),
                new RegionInitCommand(host),
                new RegionFailoverCommand(host),
                new RegionFailbackCommand(host),
            },
            new Command("window", "Shows what can be recovered.")
            {
                new WindowListCommand(host),
            },
            new Command("restore", "Restores and recovers.")
            {
                new RestoreDatabaseCommand(host),
                new RestoreConfigurationCommand(host),
                new RestoreRedisCommand(host),
                new RestoreFileStoreCommand(host),
            },
            new Command("compare", "Compares what is with what was backed up.")
            {
                new CompareConfigurationCommand(host),
            },
            new Command("recover", "Recovers one database.")
            {
                new RecoverDatabaseCommand(host),
            },
            new Command("export", "Exports what was at an instant.")
            {
                new ExportTableCommand(host),
            },
            new Command("dns", "Shows and changes the DNS record that leads clients to a region.")
            {
                new DnsShowCommand(host),
                new DnsSetCommand(host),
                new DnsUndoCommand(host),
            },
            new Command("key", "Makes key files, and manages who can open an encrypted repository.")
            {
                new KeyNewCommand(host),
                new KeyListCommand(host),
                new KeyAddCommand(host),
                new KeyRemoveCommand(host),
                new KeyRenewCommand(host),
            },
            new Command("alert", "Tells people of failures, and a dead man's switch that there are none.")
            {
                new AlertSendCommand(host),
                new AlertHeartbeatCommand(host),
            },
            new Command("test", "Verifies.")
            {
                new TestBackupCommand(host),
                new TestRecoveryCommand(host),
                new TestHistoryCommand(host),
            },
            new Command("incident", "Opens, notes, shows and closes incidents.")
            {
                new IncidentStartCommand(host),
                new IncidentNoteCommand(host),
                new IncidentStopCommand(host),
                new IncidentShowCommand(host),
                new IncidentListCommand(host),
                new IncidentReportCommand(host),
            },
            new Command("runbook", "Shows what is to be done in a scenario, and does it.")
            {
                new RunbookShowCommand(host),
                new RunbookRunCommand(host),
            },
            new Command("schedule", "Registers what is done again and again, and does it.")
            {
                new ScheduleShowCommand(host),
                new ScheduleRegisterCommand(host),
                new ScheduleUnregisterCommand(host),
                new ScheduleRunCommand(host),
            },
            new ObjectiveCommand(host),
            new MetricsCommand(host),
            new RetentionCommand(host),
            new Command("protect", "Protects from removal.")
            {
                new ProtectBackupCommand(host),
            },
            new Command("unprotect", "Ends protections.")
            {
                new UnprotectBackupCommand(host),
            },
            new Command("remove", "Removes.")
            {
                new RemoveBackupCommand(host),
            },
            new Command("workload", "Stops and starts the workloads in Kubernetes that write to the database.")
            {
                new WorkloadListCommand(host),
                new WorkloadSuspendCommand(host),
                new WorkloadResumeCommand(host),
            },
            new DrillCommand(host),
            new VersionCommand(host),
        };
        _root.Options.Add(new HelpOption());
        _root.Options.Add(new VersionOption());
        _root.Options.Add(GlobalOptions.Site);
        _root.Options.Add(GlobalOptions.Verbose);
        _root.Options.Add(GlobalOptions.NoColor);
    }

    /// <summary>Runs one command line and returns the exit code.</summary>
    public async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken = default)
    {
        ParseResult parsed = _root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            ErrorText.Write(_host.Error, new SmcException(
                SmcErrorCode.ArgumentInvalid,
                string.Join(' ', parsed.Errors.Select(static error => error.Message)),
                recommendation: $"Run '{CommandPath(parsed)} --help' to see what it takes."));
            return SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode;
        }

        bool isLines = parsed.GetValue(GlobalOptions.JsonLines);
        int exitCode = await InvokeAsync(parsed, isLines, cancellationToken).ConfigureAwait(false);
        if (isLines)
        {
            _host.Events.Exit(exitCode);
        }

        return exitCode;
    }

    private async Task<int> InvokeAsync(ParseResult parsed, bool isLines, CancellationToken cancellationToken)
    {
        using StopSignals signals = new(_host, cancellationToken);
        InvocationConfiguration configuration = new()
        {
            Output = _host.Out,
            Error = _host.Error,
            EnableDefaultExceptionHandler = false,
            // Signals are ours: the library would give up on the unwind after two seconds.
            ProcessTerminationTimeout = null,
        };
        try
        {
            return await parsed.InvokeAsync(configuration, signals.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or SmcException { Code: SmcErrorCode.OperationStopped }
            && signals.Token.IsCancellationRequested)
        {
            const string Stopped = "Stopped. Nothing is left running.";
            if (isLines)
            {
                _host.Events.Error(new SmcException(SmcErrorCode.OperationStopped, Stopped));
            }

            await _host.Error.WriteLineAsync(Stopped).ConfigureAwait(false);
            return ExitCodes.Cancelled;
        }
        catch (SmcException e)
        {
            WriteError(e, isLines);
            return SmcErrors.Get(e.Code).ExitCode;
        }
        catch (Exception e)
        {
            // The end of the program: what nobody foresaw is told like the rest, with its origin where that is asked for.
            WriteError(new SmcException(SmcErrorCode.InternalError, $"{e.GetType().Name}: {e.Message}", e), isLines);
            if (parsed.GetValue(GlobalOptions.Verbose))
            {
                await _host.Error.WriteLineAsync(e.ToString()).ConfigureAwait(false);
            }

            return SmcErrors.Get(SmcErrorCode.InternalError).ExitCode;
        }
    }

    private void WriteError(SmcException error, bool isLines)
    {
        if (isLines)
        {
            _host.Events.Error(error);
        }
        else
        {
            ErrorText.Write(_host.Error, error);
        }
    }

    private static string CommandPath(ParseResult parsed)
    {
        List<string> names = [];
        for (System.CommandLine.Parsing.SymbolResult? result = parsed.CommandResult; result is not null; result = result.Parent)
        {
            if (result is System.CommandLine.Parsing.CommandResult command)
            {
                names.Insert(0, command.Command.Name);
            }
        }

        return string.Join(' ', names);
    }
}
