using System.CommandLine;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr schedule show</c>.</summary>
internal sealed class ScheduleShowCommand : CliCommand
{
    private readonly ScheduleArguments _arguments = new();

    public ScheduleShowCommand(CliHost host)
        : base(host, "show", "Shows what 'schedule register' would register: manifests, units or lines of a crontab.")
    {
        foreach (Option option in (IEnumerable<Option>)[.. _arguments.Options, GlobalOptions.Json])
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        context.Write(SiteSchedules.Plan(site, _arguments.Read(context)), static (writer, all) =>
        {
            foreach (ScheduleInfo one in all)
            {
                // As it can be piped on: to kubectl, say. What is said of it is a comment in all of the three.
                writer.WriteLine(one.Kind == ScheduleKind.CronJob ? "---" : "");
                writer.WriteLine($"# {one.Task}{(one.NextTime is { } next ? $": next at {DisplayText.Time(next)}" : "")}");
                writer.Write(one.Text);
            }
        });
        return ExitCodes.Success;
    }
}
