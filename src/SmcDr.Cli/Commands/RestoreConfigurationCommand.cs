using System.CommandLine;
using System.Diagnostics;
using SmcDr.Cli.Output;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Objectives;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr restore configuration</c>.</summary>
internal sealed class RestoreConfigurationCommand : CliCommand
{
    private readonly ConfigurationArguments _arguments = new();
    private readonly Option<bool> _force = new("--force")
    {
        Description = "Delete and make again what differs in fields that cannot be changed; never namespaces, definitions of kinds, volumes or claims.",
    };

    private readonly Option<bool> _volumes = new("--restore-volumes")
    {
        Description = "Also volumes that were made for their claims: their storage must have outlived the claims.",
    };

    private readonly Option<int?> _parallel = new("--parallel") { Description = "How many objects are restored at a time. Default: 16.", HelpName = "COUNT" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would change in each object, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public RestoreConfigurationCommand(CliHost host)
        : base(host, "configuration", "Restores the Kubernetes configuration, or parts of it; what is as it was is left alone.")
    {
        foreach (Option option in (IEnumerable<Option>)[.. _arguments.Options, _force, _volumes, _parallel, _dryRun, _yes, GlobalOptions.Json])
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string? region = _arguments.Region(parsed);
        bool isPlan = parsed.GetValue(_dryRun);
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await site.OpenConfigurationBackupAsync(repository, _arguments.Backup(parsed), cancellationToken).ConfigureAwait(false);
        ConfigurationRestoreOptions options = new()
        {
            Filter = _arguments.Filter(parsed),
            NamespaceMapping = site.MapNamespaces(backup, region, _arguments.Mapping(parsed), _arguments.Target(parsed)),
            Force = parsed.GetValue(_force),
            RestoreVolumes = parsed.GetValue(_volumes),
            DryRun = isPlan,
        };
        options = options with { Parallelism = parsed.GetValue(_parallel) ?? options.Parallelism };
        using KubernetesClient client = await site.ConnectPatientlyAsync(region, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        if (!isPlan && !await context.ConfirmAsync(
            SiteConfiguration.DescribeConfigurationRestore(backup, client, options), parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        ConfigurationTally tally = new();
        DateTimeOffset begun = DateTimeOffset.UtcNow;
        long start = Stopwatch.GetTimestamp();
        List<ConfigurationRestoreResult> results = [];
        await context.ObserveAsync(async observer =>
        {
            await foreach (ConfigurationRestoreResult result in ConfigurationRestore
                .RunAsync(client, backup, options, observer, cancellationToken).ConfigureAwait(false))
            {
                tally.Add(result);
                if (context.Json)
                {
                    results.Add(result);
                }
                else
                {
                    ConfigurationDisplay.Write(context.Host.Out, result, context.Verbose);
                }
            }

            return true;
        }).ConfigureAwait(false);
        TimeSpan duration = Stopwatch.GetElapsedTime(start);
        await repository.NoteAsync(
            site.Name, backup.Header, options, tally, begun, duration, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        if (context.Json)
        {
            context.WriteList(results, [], "");
        }
        else
        {
            await context.Host.Out.WriteLineAsync($"{backup.Header.Id}: {tally.Describe(isPlan)}.").ConfigureAwait(false);
        }

        if (tally.ToError(backup.Header.Id, isPlan) is not SmcException error)
        {
            return ExitCodes.Success;
        }

        ErrorText.Write(context.Host.Error, error);
        return ExitCodes.Partial;
    }
}
