using System.CommandLine;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr schedule unregister</c>.</summary>
internal sealed class ScheduleUnregisterCommand : CliCommand
{
    private readonly ScheduleArguments _arguments = new();
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be removed, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public ScheduleUnregisterCommand(CliHost host)
        : base(host, "unregister", "Removes what 'schedule register' has registered of the site, and nothing else.")
    {
        foreach (Option option in (IEnumerable<Option>)[.. _arguments.PlaceOptions, _dryRun, _yes, GlobalOptions.Json])
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        const string None = "Nothing is registered of the site.";
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        ScheduleOptions options = _arguments.Read(context);
        IReadOnlyList<ScheduleInfo> registered = await SiteSchedules
            .ListRegisteredAsync(site, options, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        if (context.Parsed.GetValue(_dryRun) || registered.Count == 0)
        {
            context.WriteList(registered, ScheduleArguments.Columns, None);
            return ExitCodes.Success;
        }

        string what = $"{string.Join(", ", registered.Select(static one => one.Name))} will be removed from {registered[0].Target}.";
        if (!await context.ConfirmAsync(what, context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        IReadOnlyList<ScheduleInfo> removed = await SiteSchedules
            .UnregisterAsync(site, options, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        context.WriteList(removed, ScheduleArguments.Columns, None);
        return ExitCodes.Success;
    }
}
