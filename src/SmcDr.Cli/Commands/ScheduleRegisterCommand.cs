using System.CommandLine;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr schedule register</c>.</summary>
internal sealed class ScheduleRegisterCommand : CliCommand
{
    private readonly ScheduleArguments _arguments = new();
    private readonly Option<string?> _directory = new("--output-directory") { Description = "Write the files there, and register nothing.", HelpName = "PATH" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be registered, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public ScheduleRegisterCommand(CliHost host)
        : base(host, "register", "Registers the site's schedules as CronJobs, timers of systemd, or in the crontab; what is not in the site file any more is removed.")
    {
        foreach (Option option in (IEnumerable<Option>)[.. _arguments.Options, _directory, _dryRun, _yes, GlobalOptions.Json])
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        ScheduleOptions options = _arguments.Read(context);
        IReadOnlyList<ScheduleInfo> plan = SiteSchedules.Plan(site, options);
        if (context.Parsed.GetValue(_dryRun))
        {
            context.WriteList(plan, ScheduleArguments.Columns, "");
            return ExitCodes.Success;
        }

        if (context.Parsed.GetValue(_directory) is { Length: > 0 } directory)
        {
            IReadOnlyList<ScheduleInfo> written = await SiteSchedules
                .WriteAsync(site, options, context.FullPath(directory), cancellationToken).ConfigureAwait(false);
            context.WriteList(written, ScheduleArguments.Columns, "");
            return ExitCodes.Success;
        }

        IEnumerable<string> tasks = plan.Where(static one => one.Schedule is not null).Select(static one => $"{one.Task} ({one.Schedule})");
        string what = $"{string.Join(", ", tasks)} will be done by schedules in {plan[0].Target}.";
        if (!await context.ConfirmAsync(what, context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        IReadOnlyList<ScheduleInfo> registered = await SiteSchedules
            .RegisterAsync(site, options, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        context.WriteList(registered, ScheduleArguments.Columns, "");
        return ExitCodes.Success;
    }
}
