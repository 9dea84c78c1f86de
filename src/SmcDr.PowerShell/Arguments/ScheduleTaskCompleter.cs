using System.Collections;
using SmcDr.Core.Schedules;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of tasks that a site can have schedules for.</summary>
public sealed class ScheduleTaskCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        SiteSchedules.Tasks.Select(static task => (task, task));
}
