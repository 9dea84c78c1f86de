using System.Diagnostics;
using System.Management.Automation;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Objectives;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Restores the Kubernetes configuration from a backup, or parts of it. What is as it was is left alone.</summary>
/// <remarks>
/// <para>
/// What others need comes first: definitions of kinds, which must be established, namespaces, classes, volumes and claims, accounts and roles, Secrets and
/// ConfigMaps, services, workloads, quotas, and webhooks at last. Objects that are not of the backup are never touched, and none is deleted without -Force.
/// </para>
/// <para>
/// With -WhatIf the cluster is asked what would become of each object, and a result is written for it: Create, Change with the fields in Changes, Replace where a field
/// differs that cannot be changed, or Same. Nothing is changed. What a Secret holds is not shown.
/// </para>
/// <para>
/// An object that is refused does not stop the others: its result has the state Failed and says why and what to do, and at the end there is an error that says how many
/// they are. Interrupted or repaired, the same command goes on: what is done is not sent again.
/// </para>
/// </remarks>
/// <example>
/// <code>Restore-SmcConfiguration -WhatIf | Where-Object Action -ne Same | Format-List Action, Kind, Namespace, Name, Changes</code>
/// Shows, object by object and field by field, what restoring the newest backup would change.
/// </example>
/// <example>
/// <code>Get-SmcBackup -Component Configuration | Select-Object -Last 1 |
///     Restore-SmcConfiguration -Kind configmaps, secrets -LabelSelector app=trading-engine</code>
/// Puts back the settings of one application.
/// </example>
/// <example>
/// <code>Restore-SmcConfiguration -TargetNamespace smc-trading-copy -ExcludeKind ingresses -Confirm:$false</code>
/// Makes a copy of the system in a namespace of its own.
/// </example>
/// <example>
/// <code>Restore-SmcConfiguration | Where-Object State -eq Failed | Restore-SmcConfiguration</code>
/// Tries again what failed.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.ConfigurationIncomplete"/>: Objects were refused, or must be replaced: each result says why and what to do.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.NamespaceTerminating"/>: A namespace is being deleted, and does not go.</exception>
/// <seealso cref="CompareSmcConfigurationCommand"/>
/// <seealso cref="BackupSmcConfigurationCommand"/>
/// <seealso cref="RestoreSmcSystemCommand"/>
[Cmdlet(VerbsData.Restore, "SmcConfiguration", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(ConfigurationRestoreResult))]
public sealed class RestoreSmcConfigurationCommand : ConfigurationCmdlet
{
    private readonly List<IConfigurationObject> _objects = [];

    /// <summary>Only these objects: what Compare-SmcConfiguration or Restore-SmcConfiguration itself wrote.</summary>
    [Parameter(ValueFromPipeline = true)]
    [ValidateNotNull]
    public IConfigurationObject[]? InputObject { get; set; }

    /// <summary>
    /// Deletes and makes again what differs in fields that cannot be changed. Never namespaces, definitions of kinds, volumes or claims, with which data would go.
    /// </summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Also volumes that were made for their claims: their storage must have outlived the claims.</summary>
    [Parameter]
    public SwitchParameter RestoreVolume { get; set; }

    /// <summary>How many objects are restored at a time.</summary>
    [Parameter]
    [ValidateRange(1, 64)]
    public int? Parallelism { get; set; }

    /// <inheritdoc/>
    private protected override string NothingDone => "nothing is restored";

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        _objects.AddRange(InputObject ?? []);
        return base.ProcessRecordAsync(pipeline, cancellationToken);
    }

    /// <inheritdoc/>
    private protected override async Task WorkAsync(
        SmcPipeline pipeline,
        Site site,
        Repository repository,
        KubernetesClient client,
        BackupReader backup,
        ObjectFilter filter,
        IReadOnlyDictionary<string, string> mapping,
        CancellationToken cancellationToken)
    {
        ConfigurationRestoreOptions options = new()
        {
            Filter = filter with { Objects = _objects.Count == 0 ? null : _objects },
            NamespaceMapping = mapping,
            Force = Force,
            RestoreVolumes = RestoreVolume,
        };
        options = options with { Parallelism = Parallelism ?? options.Parallelism };
        string description = SiteConfiguration.DescribeConfigurationRestore(backup, client, options);
        bool isPlan = false;
        if (!await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this out?", $"Restore the configuration of '{client.Access.Display}'").ConfigureAwait(false))
        {
            isPlan = await IsWhatIfAsync(pipeline).ConfigureAwait(false);
            if (!isPlan)
            {
                return;
            }
        }

        ConfigurationTally tally = new();
        DateTimeOffset begun = DateTimeOffset.UtcNow;
        long start = Stopwatch.GetTimestamp();
        HashSet<(string Kind, string? Namespace, string Name)> missing = [.. _objects.Select(static each => (each.Kind, each.Namespace, each.Name))];
        await foreach (ConfigurationRestoreResult result in ConfigurationRestore
            .RunAsync(client, backup, options with { DryRun = isPlan }, pipeline, cancellationToken).ConfigureAwait(false))
        {
            tally.Add(result);
            missing.Remove((result.Kind, result.Namespace, result.Name));
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }

        pipeline.WriteVerbose($"{backup.Header.Id}: {tally.Describe(isPlan)}.");
        await repository.NoteAsync(
            site.Name, backup.Header, options with { DryRun = isPlan }, tally, begun, Stopwatch.GetElapsedTime(start), pipeline, cancellationToken).ConfigureAwait(false);
        if (missing.Count > 0)
        {
            pipeline.WriteWarning(FormattableString.Invariant(
                $"{missing.Count} of the objects that were given are not in the backup '{backup.Header.Id}', or not where they would be restored to, and stay as they are."));
        }

        if (tally.ToError(backup.Header.Id, isPlan) is SmcException error)
        {
            await pipeline.WriteErrorAsync(error, backup.Header.Id).ConfigureAwait(false);
        }
    }
}
