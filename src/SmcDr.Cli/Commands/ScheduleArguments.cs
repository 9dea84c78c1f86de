using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Schedules;

namespace SmcDr.Cli.Commands;

/// <summary>What the commands that work on schedules have in common.</summary>
internal sealed class ScheduleArguments
{
    private readonly Option<ScheduleKind?> _kind = new("--kind")
    {
        Description = "What runs them: cronJob, systemdTimer or crontab. Default: CronJobs where the site names an image for jobs, else what this host has.",
        HelpName = "KIND",
    };

    private readonly Option<string[]> _tasks = new("--task")
    {
        Description = $"Only this one: {string.Join(", ", SiteSchedules.Tasks)}. Can be given again. Default: all that the site has a schedule for.",
        HelpName = "TASK",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<string?> _program = new("--program") { Description = "The path of smcdr that schedules on this host run. Default: this one.", HelpName = "FILE" };
    private readonly Option<string?> _units = new("--unit-directory")
    {
        Description = "Where units of systemd are put. Default: /etc/systemd/system, or ~/.config/systemd/user for other accounts than root.",
        HelpName = "PATH",
    };

    private readonly Option<string?> _environment = new("--environment-file")
    {
        Description = "A file of NAME=value lines with the variables that the site's secrets are in. Default: /etc/smcdr/SITE.env, or ~/.config/smcdr/SITE.env.",
        HelpName = "FILE",
    };

    /// <summary>The columns of lists.</summary>
    public static IReadOnlyList<Column<ScheduleInfo>> Columns { get; } =
    [
        new("Task", static one => one.Task),
        new("Kind", static one => one.Kind.ToString()),
        new("Schedule", static one => one.Schedule),
        new("Next", static one => DisplayText.Time(one.NextTime)),
        new("State", static one => one.State),
        new("Name", static one => one.Name),
        new("Target", static one => one.Target),
    ];

    /// <summary>The options of what is written.</summary>
    public IEnumerable<Option> Options => [_kind, _tasks, _program, _units, _environment];

    /// <summary>The options of what is looked for.</summary>
    public IEnumerable<Option> PlaceOptions => [_kind, _units];

    public ScheduleOptions Read(CliContext context)
    {
        ParseResult parsed = context.Parsed;
        return new ScheduleOptions
        {
            Kind = parsed.GetValue(_kind),
            Tasks = parsed.GetValue(_tasks) ?? [],
            Program = FullPath(parsed.GetValue(_program)),
            UnitDirectory = FullPath(parsed.GetValue(_units)),
            EnvironmentFile = FullPath(parsed.GetValue(_environment)),
        };

        string? FullPath(string? path) => string.IsNullOrEmpty(path) ? null : context.FullPath(path);
    }
}
