using System.Management.Automation;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Removes what Register-SmcSchedule has registered of the site, and nothing else.</summary>
/// <remarks>
/// <para>
/// CronJobs are known by their labels, units of systemd by their first line, and lines of a crontab by the marks around them. With the CronJobs go
/// their jobs, also one that runs. The site file stays as it is.
/// </para>
/// </remarks>
/// <example>
/// <code>Unregister-SmcSchedule -WhatIf</code>
/// Shows what would be removed.
/// </example>
/// <example>
/// <code>Unregister-SmcSchedule -Kind Crontab -Confirm:$false</code>
/// Takes the site's lines out of this account's crontab.
/// </example>
/// <example>
/// <code>Unregister-SmcSchedule -Kind SystemdTimer
/// Register-SmcSchedule -Kind CronJob</code>
/// Moves the site's schedules from this host to its cluster.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ScheduleUnsuitable"/>: What is to run the schedules is not here.</exception>
/// <seealso cref="RegisterSmcScheduleCommand"/>
[Cmdlet(VerbsLifecycle.Unregister, "SmcSchedule", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(ScheduleInfo))]
public sealed class UnregisterSmcScheduleCommand : ScheduleCmdlet
{
    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        ScheduleOptions options = await CreateOptionsAsync(pipeline).ConfigureAwait(false);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        IReadOnlyList<ScheduleInfo> results = await SiteSchedules.ListRegisteredAsync(site, options, pipeline, cancellationToken).ConfigureAwait(false);
        if (results.Count == 0)
        {
            pipeline.WriteVerbose("Nothing is registered of the site.");
            return;
        }

        if (await pipeline.ShouldProcessAsync(
            results[0].Target, $"Remove the schedules {string.Join(", ", results.Select(static one => one.Name))}").ConfigureAwait(false))
        {
            results = await SiteSchedules.UnregisterAsync(site, options, pipeline, cancellationToken).ConfigureAwait(false);
        }
        else if (!await IsWhatIfAsync(pipeline).ConfigureAwait(false))
        {
            return;
        }

        await pipeline.WriteObjectAsync(results, enumerateCollection: true).ConfigureAwait(false);
    }
}
