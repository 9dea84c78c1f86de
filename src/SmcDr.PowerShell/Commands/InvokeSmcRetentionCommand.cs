using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Removes the backups that the site's retention does not keep, and what nothing needs any more.</summary>
/// <remarks>
/// <para>
/// What is kept is what the site file says under 'retention'; without that, all backups are. Besides, what was left by backups that
/// were killed goes, and write-ahead log that no backup needs, both only when a day old. The newest backup of everything always
/// stays, and so does what is held, locked, or needed by a running backup.
/// </para>
/// <para>
/// Logical backups are decided on beside physical ones, and dumps of single databases beside those of all, so that none pushes another out.
/// Emergency backups stay until Remove-SmcBackup removes them. Which log is needed follows from the physical backups.
/// </para>
/// <para>
/// -WhatIf shows everything with what becomes of it and why. Backups may run meanwhile. Stopped at whatever moment, all that is kept can be
/// restored, and the next run finishes.
/// </para>
/// </remarks>
/// <example>
/// <code>Invoke-SmcRetention -WhatIf | Format-Table Id, Action, Reasons</code>
/// Shows what would go, and why the rest stays.
/// </example>
/// <example>
/// <code>Invoke-SmcRetention -Confirm:$false</code>
/// For a schedule: removes without asking.
/// </example>
/// <example>
/// <code>Invoke-SmcRetention -WhatIf | Measure-Object -Property FreedBytes -Sum</code>
/// Shows how much would be freed.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.StorageAccessDenied"/>: The account may not delete in the repository.</exception>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="ProtectSmcBackupCommand"/>
/// <seealso cref="RemoveSmcBackupCommand"/>
/// <seealso cref="RegisterSmcScheduleCommand"/>
[Cmdlet(VerbsLifecycle.Invoke, "SmcRetention", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(RetentionResult))]
public sealed class InvokeSmcRetentionCommand : SiteCmdlet
{
    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        BackupRetention retention = new(repository, null, pipeline);
        RetentionPlan plan = await retention.PlanAsync(site.GetRetentionPolicy(), cancellationToken).ConfigureAwait(false);
        RetentionResult[] removals = [.. plan.Removals];
        if (removals.Length == 0)
        {
            pipeline.WriteVerbose("There is nothing to remove.");
        }

        string summary = $"{removals.Sum(static item => item.ObjectCount)} objects, {DisplayText.Size(removals.Sum(static item => item.FreedBytes))}";
        string list = string.Join(Environment.NewLine, removals.Select(static item =>
            $"Remove {item.Kind} {item.Id} of {item.Component}, {DisplayText.Size(item.FreedBytes)}: {string.Join(", ", item.Reasons)}."));
        if (removals.Length == 0 || !await pipeline.ShouldProcessAsync(
            list, $"{list}{Environment.NewLine}Remove {summary}?", $"Retention in {repository.Location}").ConfigureAwait(false))
        {
            // Whoever only looks sees what stays as well, and why.
            foreach (RetentionResult item in plan.Items)
            {
                await pipeline.WriteObjectAsync(item).ConfigureAwait(false);
            }

            return;
        }

        foreach (RetentionResult item in await retention.ExecuteAsync(plan, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(item).ConfigureAwait(false);
        }
    }
}
