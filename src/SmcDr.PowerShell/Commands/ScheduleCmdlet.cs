using System.Management.Automation;
using SmcDr.Core.Schedules;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that work on schedules.</summary>
public abstract class ScheduleCmdlet : SiteCmdlet
{
    /// <summary>
    /// What runs them: CronJob, SystemdTimer or Crontab. Without it, CronJobs where the site names an image for jobs; else timers where systemd runs
    /// this host; else
    /// the crontab of this account.
    /// </summary>
    [Parameter]
    public ScheduleKind? Kind { get; set; }

    /// <summary>Where units of systemd are put. Without it, /etc/systemd/system, or ~/.config/systemd/user for other accounts than root.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? UnitDirectory { get; set; }

    /// <summary>The options that both have.</summary>
    private protected async Task<ScheduleOptions> CreateOptionsAsync(SmcPipeline pipeline) => new()
    {
        Kind = Kind,
        UnitDirectory = UnitDirectory is null ? null : await FilePaths.ResolveAsync(pipeline, UnitDirectory).ConfigureAwait(false),
    };
}
