using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>A site's schedules: what is written for them, registered and taken away again, in one way for every front end.</summary>
public static class SiteSchedules
{
    /// <summary>The names of all tasks that a site can have a schedule for.</summary>
    public static IReadOnlyList<string> Tasks => ScheduledWork.Tasks;

    /// <summary>The task that tests recoveries.</summary>
    public const string RecoveryTestTask = "recoveryTest";

    /// <summary>The arguments of the program that does the work of a task.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there is no such task.</exception>
    public static IReadOnlyList<string> GetCommand(Site site, string task) => ScheduledWork.CommandOf(site, task) ?? throw Unknown(task);

    /// <summary>How long a run of a task may take before it is taken for hanging.</summary>
    public static TimeSpan GetRunLimit(Site site, string task) => ScheduledWork.LimitOf(site, task);

    /// <summary>What would be registered, and nothing else.</summary>
    /// <param name="site">The site.</param>
    /// <param name="options">How.</param>
    public static IReadOnlyList<ScheduleInfo> Plan(Site site, ScheduleOptions options) => Describe(site, options, Open(site, options, null), "Planned");

    /// <summary>Writes what would be registered into a directory.</summary>
    /// <param name="site">The site.</param>
    /// <param name="options">How.</param>
    /// <param name="directory">The directory; made where it is not there.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<ScheduleInfo>> WriteAsync(Site site, ScheduleOptions options, string directory, CancellationToken cancellationToken)
    {
        IScheduler scheduler = Open(site, options, null);
        List<ScheduleInfo> results = [];
        foreach (ScheduleDocument document in scheduler.Write(Choose(site, options)))
        {
            foreach ((string name, string text) in document.Files)
            {
                await HostSchedule.WriteFileAsync(Path.Combine(directory, name), text, cancellationToken).ConfigureAwait(false);
            }

            results.Add(ToInfo(site, scheduler, document, "Written") with { Files = [.. document.Files.Select(file => Path.Combine(directory, file.Name))] });
        }

        return results;
    }

    /// <summary>Registers the site's schedules, and removes what was registered of it and is not in its file any more. Twice is once.</summary>
    /// <param name="site">The site.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Hears of what is still to be done by hand.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<IReadOnlyList<ScheduleInfo>> RegisterAsync(
        Site site, ScheduleOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        IScheduler scheduler = Open(site, options, observer);
        return RegisterAsync(site, scheduler, scheduler.Write(Choose(site, options)), observer, cancellationToken);
    }

    /// <summary>What is registered of the site; nothing is changed.</summary>
    /// <param name="site">The site.</param>
    /// <param name="options">Where to look.</param>
    /// <param name="observer">Hears of requests that are made again.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<ScheduleInfo>> ListRegisteredAsync(
        Site site, ScheduleOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        IScheduler scheduler = Open(site, options with { Program = options.Program ?? "smcdr" }, observer);
        return [.. (await scheduler.ListAsync(cancellationToken).ConfigureAwait(false)).Select(name => ToInfo(site, scheduler, name, "Planned"))];
    }

    /// <summary>Removes exactly what was registered of the site.</summary>
    /// <inheritdoc cref="ListRegisteredAsync"/>
    public static Task<IReadOnlyList<ScheduleInfo>> UnregisterAsync(
        Site site, ScheduleOptions options, IOperationObserver observer, CancellationToken cancellationToken) =>
        RegisterAsync(site, Open(site, options with { Program = options.Program ?? "smcdr" }, observer), [], observer, cancellationToken);

    internal static async Task<IReadOnlyList<ScheduleInfo>> RegisterAsync(
        Site site, IScheduler scheduler, IReadOnlyList<ScheduleDocument> documents, IOperationObserver observer, CancellationToken cancellationToken)
    {
        IReadOnlyList<(string Name, string State)> states = await scheduler.RegisterAsync(documents, observer, cancellationToken).ConfigureAwait(false);
        return
        [
            .. states.Select(state => documents.FirstOrDefault(document => document.Name == state.Name) is { } document
                ? ToInfo(site, scheduler, document, state.State)
                : ToInfo(site, scheduler, state.Name, state.State)),
        ];
    }

    private static IReadOnlyList<ScheduleInfo> Describe(Site site, ScheduleOptions options, IScheduler scheduler, string state) =>
        [.. scheduler.Write(Choose(site, options)).Select(document => ToInfo(site, scheduler, document, state))];

    private static IReadOnlyList<ScheduledWork> Choose(Site site, ScheduleOptions options)
    {
        IReadOnlyList<ScheduledWork> all = ScheduledWork.Of(site);
        return options.Tasks.FirstOrDefault(task => !ScheduledWork.Tasks.Contains(task)) is { } unknown ? throw Unknown(unknown)
            : options.Tasks.FirstOrDefault(task => !all.Any(one => one.Task == task)) is { } missing
                ? throw new SmcException(
                    SmcErrorCode.ScheduleUnsuitable,
                    $"The site '{site.Name}' has no schedule for '{missing}'.",
                    recommendation: $"Add 'schedules: {{ {missing}: \"0 3 * * *\" }}' to '{site.Path}'.",
                    target: missing)
            : [.. all.Where(one => options.Tasks.Count == 0 || options.Tasks.Contains(one.Task))];
    }

    private static SmcException Unknown(string task) => new(
        SmcErrorCode.ArgumentInvalid, $"There is no task '{task}'.", recommendation: $"Give one of: {string.Join(", ", ScheduledWork.Tasks)}.", target: task);

    private static IScheduler Open(Site site, ScheduleOptions options, IOperationObserver? observer)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(options);
        ScheduleKind kind = options.Kind ??
            (site.PrimaryRegion.Kubernetes?.Job?.Image is not null ? ScheduleKind.CronJob
            : SystemdScheduler.IsSystemdRunning ? ScheduleKind.SystemdTimer
            : ScheduleKind.Crontab);
        return kind switch
        {
            ScheduleKind.CronJob => new CronJobScheduler(
                site, File.ReadAllText(site.Path), observer is null ? null : token => site.GetKubernetes().ConnectAsync(observer, token)),
            ScheduleKind.SystemdTimer => new SystemdScheduler(site, HostSchedule.Find(site, options), options.UnitDirectory),
            _ => new CrontabScheduler(site, HostSchedule.Find(site, options)),
        };
    }

    private static ScheduleInfo ToInfo(Site site, IScheduler scheduler, ScheduleDocument document, string state) => new()
    {
        Site = site.Name,
        Task = document.Work?.Task ?? "site",
        Kind = scheduler.Kind,
        Schedule = document.Work?.Schedule.Text,
        TimeZone = document.Work is null ? null : ScheduledWork.ZoneNameOf(site),
        NextTime = document.Work?.Schedule.NextAfter(DateTimeOffset.UtcNow, ScheduledWork.ZoneOf(site)),
        Command = document.Command,
        Name = document.Name,
        Target = scheduler.Target,
        State = state,
        Text = document.Text,
    };

    private static ScheduleInfo ToInfo(Site site, IScheduler scheduler, string name, string state) => new()
    {
        Site = site.Name,
        Task = ScheduledWork.Tasks.FirstOrDefault(task => ScheduleNames.Of(site, task) == name) ?? "site",
        Kind = scheduler.Kind,
        Name = name,
        Target = scheduler.Target,
        State = state,
    };
}
