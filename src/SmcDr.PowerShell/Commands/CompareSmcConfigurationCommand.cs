using System.Management.Automation;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Compares the cluster with a backup of its configuration, and writes every object that has drifted. Nothing is changed.</summary>
/// <remarks>
/// <para>
/// Added is what the cluster has and the backup has not, Removed the other way round, and Changed what differs; Changes has the fields, with their values in the
/// backup and in the cluster. What a Secret holds is not shown. What the cluster fills in by itself, and replicas that an autoscaler sets, are no difference.
/// </para>
/// <para>
/// What the backup lacks, or the cluster does not tell, is warned of and not compared. What was chosen of the result can be piped to Restore-SmcConfiguration, which
/// puts back these objects alone.
/// </para>
/// </remarks>
/// <example>
/// <code>Compare-SmcConfiguration | Select-Object Difference, Kind, Name -ExpandProperty Changes</code>
/// Shows what has drifted since the newest backup, field by field.
/// </example>
/// <example>
/// <code>Compare-SmcConfiguration | Where-Object Kind -eq ConfigMap | Restore-SmcConfiguration -WhatIf</code>
/// Shows what putting back the ConfigMaps that differ would do.
/// </example>
/// <example>
/// <code>Get-SmcBackup -Component Configuration | Select-Object -First 1 | Compare-SmcConfiguration -Region west -ExcludeKind secrets</code>
/// Compares the other region's cluster with an older backup.
/// </example>
/// <example>
/// <code>if (Compare-SmcConfiguration -ExcludeKind configmaps, secrets) {
///     Send-SmcAlert 'The cluster has drifted from its backup' -Severity Warning -Key drift
/// }</code>
/// For a schedule: tells the site's channels where something but settings has drifted.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: There is no backup of the configuration yet.</exception>
/// <seealso cref="BackupSmcConfigurationCommand"/>
/// <seealso cref="RestoreSmcConfigurationCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
[Cmdlet(VerbsData.Compare, "SmcConfiguration")]
[OutputType(typeof(ConfigurationDifference))]
public sealed class CompareSmcConfigurationCommand : ConfigurationCmdlet
{
    /// <inheritdoc/>
    private protected override string NothingDone => "nothing is compared";

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
        ConfigurationComparison comparison = new(client, backup, filter, mapping, pipeline);
        long count = 0;
        await foreach (ConfigurationDifference difference in comparison.RunAsync(cancellationToken).ConfigureAwait(false))
        {
            count++;
            await pipeline.WriteObjectAsync(difference).ConfigureAwait(false);
        }

        pipeline.WriteVerbose(FormattableString.Invariant(
            $"{count} objects differ from the backup '{backup.Header.Id}'{(comparison.IsPartial ? ", of those that could be compared" : "")}."));
    }
}
