using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr compare configuration</c>.</summary>
internal sealed class CompareConfigurationCommand : CliCommand
{
    private readonly ConfigurationArguments _arguments = new();

    public CompareConfigurationCommand(CliHost host)
        : base(host, "configuration", "Compares the cluster with a backup of its configuration. The exit code says whether it differs.")
    {
        foreach (Option option in (IEnumerable<Option>)[.. _arguments.Options, GlobalOptions.Json])
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string? region = _arguments.Region(parsed);
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await site.OpenConfigurationBackupAsync(repository, _arguments.Backup(parsed), cancellationToken).ConfigureAwait(false);
        using KubernetesClient client = await site.ConnectPatientlyAsync(region, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        List<ConfigurationDifference> differences = [];
        bool isPartial = await context.ObserveAsync(async observer =>
        {
            ConfigurationComparison comparison = new(
                client,
                backup,
                _arguments.Filter(parsed),
                site.MapNamespaces(backup, region, _arguments.Mapping(parsed), _arguments.Target(parsed)),
                observer);
            await foreach (ConfigurationDifference difference in comparison.RunAsync(cancellationToken).ConfigureAwait(false))
            {
                differences.Add(difference);
            }

            return comparison.IsPartial;
        }).ConfigureAwait(false);
        if (context.Json)
        {
            context.WriteList(differences, [], "");
        }
        else
        {
            foreach (ConfigurationDifference difference in differences)
            {
                ConfigurationDisplay.Write(context.Host.Out, difference);
            }

            await context.Host.Error.WriteLineAsync(
                differences.Count == 0 ? $"Nothing differs from the backup '{backup.Header.Id}'." : FormattableString.Invariant($"{differences.Count} objects differ from the backup '{backup.Header.Id}'."))
                .ConfigureAwait(false);
        }

        return differences.Count > 0 ? SmcErrors.Get(SmcErrorCode.ConfigurationDrifted).ExitCode : isPartial ? ExitCodes.Partial : ExitCodes.Success;
    }
}
