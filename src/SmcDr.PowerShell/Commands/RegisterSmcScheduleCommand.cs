using System.Management.Automation;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Registers the site's schedules: backups, the monitor, verification, the test of recovery and retention.</summary>
/// <remarks>
/// <para>
/// The site file says what is due when, under 'schedules', each as the five fields of cron. What is registered runs 'smcdr schedule run TASK', which
/// does the work, alerts the site's channels where it fails, and
/// after the monitor tells the heartbeat that all is well. It reads the site file each time, so only changed times and tasks need to be registered again.
/// </para>
/// <para>
/// The same command again changes nothing; after a change of the site file it changes what is different and removes what is not in the file any more.
/// Unregister-SmcSchedule
/// removes all of it.
/// </para>
/// <para>
/// With -WhatIf a result is written for each task whose Text is the manifest, the units or the line, and nothing is changed. With -OutputDirectory
/// they are written to files, for a
/// repository of manifests, say.
/// </para>
/// <para>
/// A run that was missed is made up for by timers of systemd (Persistent) and within an hour by CronJobs; by cron it is not. A run that takes longer
/// than it is to the next one is not joined
/// by that. No secret is written: jobs in a cluster have those that 'kubernetes.job' names in the site file, and a host those of a file with
/// environment variables.
/// </para>
/// </remarks>
/// <example>
/// <code>Register-SmcSchedule -WhatIf | Format-List Task, Schedule, NextTime, Text</code>
/// Shows what would be registered, and when each task is due next.
/// </example>
/// <example>
/// <code>Register-SmcSchedule -Kind SystemdTimer -Confirm:$false</code>
/// Registers timers of systemd on this host.
/// </example>
/// <example>
/// <code>Register-SmcSchedule -Kind CronJob -Task database, redis, configuration, monitor -OutputDirectory ./manifests</code>
/// Writes manifests of CronJobs, to be applied by what manages the cluster.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.ScheduleUnsuitable"/>: A schedule cannot be said in the words of what is to run it, or that is not here.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>: smcdr is not on the search path, and -Program is not given.</exception>
/// <seealso cref="UnregisterSmcScheduleCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="InvokeSmcRetentionCommand"/>
/// <seealso cref="TestSmcRecoveryCommand"/>
/// <seealso cref="SendSmcHeartbeatCommand"/>
[Cmdlet(VerbsLifecycle.Register, "SmcSchedule", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(ScheduleInfo))]
public sealed class RegisterSmcScheduleCommand : ScheduleCmdlet
{
    /// <summary>Which of the site's tasks. Without it, all that it has a schedule for. What was registered and is not among them is removed.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(ScheduleTaskCompleter))]
    public string[] Task { get; set; } = [];

    /// <summary>Writes the files to this directory, and registers nothing.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? OutputDirectory { get; set; }

    /// <summary>The path of the program smcdr that schedules on this host run. Without it, the one on the search path.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Program { get; set; }

    /// <summary>
    /// A file of NAME=value lines with the environment variables that the site's secrets are in. Without it, /etc/smcdr/SITE.env, or
    /// ~/.config/smcdr/SITE.env.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? EnvironmentFile { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        ScheduleOptions options = await CreateOptionsAsync(pipeline).ConfigureAwait(false) with
        {
            Tasks = Task,
            Program = Program is null ? null : await FilePaths.ResolveAsync(pipeline, Program).ConfigureAwait(false),
            EnvironmentFile = EnvironmentFile is null ? null : await FilePaths.ResolveAsync(pipeline, EnvironmentFile).ConfigureAwait(false),
        };
        string? directory = OutputDirectory is null ? null : await FilePaths.ResolveAsync(pipeline, OutputDirectory).ConfigureAwait(false);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        IReadOnlyList<ScheduleInfo> results = SiteSchedules.Plan(site, options);
        string tasks = string.Join(", ", results.Where(static one => one.Schedule is not null).Select(static one => $"{one.Task} ({one.Schedule})"));
        if (await pipeline.ShouldProcessAsync(directory ?? results[0].Target, $"{(directory is null ? "Register" : "Write")} the schedules {tasks}").ConfigureAwait(false))
        {
            results = directory is null
                ? await SiteSchedules.RegisterAsync(site, options, pipeline, cancellationToken).ConfigureAwait(false)
                : await SiteSchedules.WriteAsync(site, options, directory, cancellationToken).ConfigureAwait(false);
        }
        else if (!await IsWhatIfAsync(pipeline).ConfigureAwait(false))
        {
            return;
        }

        await pipeline.WriteObjectAsync(results, enumerateCollection: true).ConfigureAwait(false);
    }
}
