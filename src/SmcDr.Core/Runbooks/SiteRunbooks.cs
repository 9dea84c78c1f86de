using System.Runtime.CompilerServices;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Runbooks.Steps;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Core.Runbooks;

/// <summary>What is to be done in each scenario, for a site as it is: steps for what it has, with its objectives and what recoveries took.</summary>
public static class SiteRunbooks
{
    private const int Newest = 5;

    /// <summary>The scenarios that there are runbooks for.</summary>
    public static IReadOnlyList<IncidentScenario> Scenarios { get; } = [.. Enum.GetValues<IncidentScenario>().Where(static scenario => scenario != IncidentScenario.Other)];

    /// <summary>Opens the site's repository for what recoveries took. A runbook is needed most where that does not answer, so it is told, and null.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the key of an encrypted one.</param>
    /// <param name="observer">Is warned where it cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<Repository?> TryOpenAsync(Site site, SecretResolver secrets, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        try
        {
            return await site.OpenForReadingAsync(secrets, observer, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code != SmcErrorCode.OperationStopped)
        {
            observer.Warning($"What recoveries took is not known: {e.Message}");
            return null;
        }
    }

    /// <summary>The runbooks of some scenarios. What was measured is read once for all of them.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where recoveries were measured; null = it does not answer, and nothing is known of them.</param>
    /// <param name="scenarios">The scenarios.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there is none for one of them.</exception>
    public static async IAsyncEnumerable<RunbookInfo> ListAsync(
        Site site, Repository? repository, IEnumerable<IncidentScenario> scenarios, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(scenarios);
        RunbookTimes? times = null;
        Dictionary<Component, double[]> measured = [];
        foreach (IncidentScenario scenario in scenarios)
        {
            Draft[] all = DraftsOf(site, scenario);
            foreach (Component component in all.Select(static draft => draft.Component).OfType<Component>().Where(component => !measured.ContainsKey(component)).Distinct())
            {
                measured[component] = repository is null ? [] :
                [
                    .. (await RecoveryMeasurements.ListAsync(repository, site.Name, component, [], cancellationToken).ConfigureAwait(false))
                        .Take(Newest).Select(static one => one.Seconds).Order(),
                ];
            }

            times ??= repository is null ? RunbookTimes.None : await RunbookTimes.LoadAsync(repository, site.Name, cancellationToken).ConfigureAwait(false);
            yield return Create(site, scenario, all, measured, times);
        }
    }

    /// <summary>The runbook of a scenario.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where recoveries were measured; null = it does not answer, and nothing is known of them.</param>
    /// <param name="scenario">The scenario.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there is none.</exception>
    public static async Task<RunbookInfo> GetAsync(Site site, Repository? repository, IncidentScenario scenario, CancellationToken cancellationToken) =>
        await ListAsync(site, repository, [scenario], cancellationToken).FirstAsync(cancellationToken).ConfigureAwait(false);

    private static Draft[] DraftsOf(Site site, IncidentScenario scenario)
    {
        IReadOnlyList<Draft> drafts = scenario switch
        {
            IncidentScenario.PodFailure => ForPod(site),
            IncidentScenario.DatabaseCorruption => ForDatabase(site),
            IncidentScenario.RegionFailure => ForRegion(site),
            IncidentScenario.DataCenterFailure => ForDataCenter(site),
            IncidentScenario.Ransomware => ForRansomware(site),
            _ => throw Unknown(scenario),
        };
        return
        [
            new("Open an incident: all that follows is noted in it, and the contacts are told.",
                $"Start-SmcIncident '<what happened>' -Scenario {scenario}", $"smcdr incident start '<what happened>' --scenario {scenario}"),
            .. drafts,
            new("Close the incident, and write the report.",
                "Stop-SmcIncident -Summary '<what became of it>' | Export-SmcReport -Path ./incident.html",
                    "smcdr incident stop --summary '<what became of it>'"),
        ];
    }

    private static RunbookInfo Create(
        Site site, IncidentScenario scenario, Draft[] all, Dictionary<Component, double[]> measured, RunbookTimes times)
    {
        RunbookStep[] steps = [.. all.Select((draft, index) => ToStep(site, draft, index + 1, measured, times))];
        (string command, string program) = CommandOf(scenario);
        RunbookStep[] recoveries = [.. steps.Where(static step => step.Component is not null)];
        return new RunbookInfo
        {
            Site = site.Name,
            Scenario = scenario,
            Title = TitleOf(scenario),
            Command = command,
            Program = program,
            Objective = recoveries.Max(static step => step.Objective),
            Estimated = recoveries.Length > 0 && recoveries.All(static step => step.Measured is not null)
                ? recoveries.Aggregate(TimeSpan.Zero, static (sum, step) => sum + step.Measured!.Value)
                : null,
            Measured = Median([.. times.Of(scenario).Take(Newest)]),
            MeasuredCount = times.Of(scenario).Count,
            Steps = steps,
        };
    }

    /// <summary>What has happened, in a line.</summary>
    internal static string TitleOf(IncidentScenario scenario) => scenario switch
    {
        IncidentScenario.PodFailure => "A single pod has failed",
        IncidentScenario.DatabaseCorruption => "The database is damaged, or has lost data",
        IncidentScenario.RegionFailure => "The primary region is gone",
        IncidentScenario.DataCenterFailure => "A data centre is gone, with all that was in it",
        _ => "Somebody has encrypted or destroyed data on purpose",
    };

    internal static SmcException Unknown(IncidentScenario scenario) => new(
        SmcErrorCode.ArgumentInvalid,
        $"There is no runbook for '{scenario}'.",
        recommendation: $"Give one of: {string.Join(", ", Scenarios)}.",
        target: scenario.ToString());

    /// <summary>What carries a runbook out, with what has to be decided for it.</summary>
    private static (string Command, string Program) CommandOf(IncidentScenario scenario) =>
        scenario is IncidentScenario.DatabaseCorruption or IncidentScenario.Ransomware
            ? ($"{RunbookPlan.Operation} {scenario} -TargetTime '<instant>'", $"smcdr runbook run {scenario} --target-time '<instant>'")
            : ($"{RunbookPlan.Operation} {scenario}", $"smcdr runbook run {scenario}");

    private static TimeSpan? Median(double[] seconds)
    {
        Array.Sort(seconds);
        return seconds.Length == 0 ? null : TimeSpan.FromSeconds((seconds[(seconds.Length - 1) / 2] + seconds[seconds.Length / 2]) / 2);
    }

    private static RunbookStep ToStep(Site site, Draft draft, int number, Dictionary<Component, double[]> measured, RunbookTimes times)
    {
        double[] seconds = draft.Component is { } component ? measured[component]
            : draft.Step is { } step && times.OfStep(step) is { } predicted ? [predicted]
            : [];
        return new RunbookStep
        {
            Number = number,
            Title = draft.Title,
            Command = draft.Command,
            Program = draft.Program,
            Component = draft.Component?.ToString(),
            Objective = draft.Component switch
            {
                Component.Database => site.Objectives.Database?.Rto,
                Component.Redis => site.Objectives.Redis?.Rto,
                Component.Configuration => site.Objectives.Configuration?.Rto,
                Component.FileStore => site.Objectives.FileStore?.Rto,
                _ => null,
            },
            Measured = Median(seconds),
            MeasuredCount = seconds.Length,
        };
    }

    private static IReadOnlyList<Draft> ForPod(Site site) =>
    [
        new("See what stands in the way. Kubernetes starts a failed pod again by itself; give it two minutes.", "Test-SmcSite", "smcdr site test"),
        .. Writers(site, new Draft("See whether the workloads run as they should.", "Get-SmcWorkload", "smcdr workload list")),
        .. Part(site.PrimaryRegion.Database is not null, new Draft(
            "Where the database does not come back with its volume: recover it to the end of the log. The present data stays beside it.",
            "Invoke-SmcPointInTimeRecovery -Latest", "smcdr restore database --latest", Component.Database)),
        .. Part(site.PrimaryRegion.Redis is not null, new Draft(
            "Where Redis does not: put the newest backup in its place.", "Restore-SmcRedis -Method Offline", "smcdr restore redis --method offline",
                Component.Redis)),
    ];

    private static IReadOnlyList<Draft> ForDatabase(Site site) =>
    [
        .. Writers(site, new Draft("Stop what writes to the database.", "Suspend-SmcWorkload", "smcdr workload suspend", Step: SystemRestore.SuspendKey)),
        new("Keep what can still be read of the present state. No rule removes it.", "Backup-SmcDatabase -Emergency", "smcdr backup database --emergency",
            Step: EmergencyBackupStep.StepKey),
        new("Find who did what, and the instant before it.", "Find-SmcTransaction -From '<when it was well>'", "smcdr wal find --from '<when it was well>'"),
        new("See which instants can be recovered.", "Get-SmcRecoveryWindow", "smcdr window list"),
        new("Look at the plan.", "Invoke-SmcPointInTimeRecovery -TargetTime '<instant>' -WhatIf", "smcdr restore database --target-time '<instant>' --dry-run"),
        new("Recover. What is there is moved aside, not deleted; interrupted, the same command goes on.",
            "Invoke-SmcPointInTimeRecovery -TargetTime '<instant>'", "smcdr restore database --target-time '<instant>'", Component.Database),
        new("Ask the site's own checks.", "Test-SmcSite", "smcdr site test"),
        .. Writers(site, new Draft("Let the applications in.", "Resume-SmcWorkload", "smcdr workload resume", Step: SystemRestore.ResumeKey)),
        new("Begin again to be safe: the log goes on from a new base backup.", "Backup-SmcDatabase -Full", "smcdr backup database --full",
            Step: FullBackupStep.StepKey),
    ];

    private static IReadOnlyList<Draft> ForRegion(Site site) => site.Regions.Count < 2
        ? ForDataCenter(site)
        :
        [
            new("See the regions: which leads, and how far the other is.", "Get-SmcRegion", "smcdr region list"),
            new("Look at the plan, and at what would be lost.", "Start-SmcRegionFailover -WhatIf", "smcdr region failover --dry-run"),
            new("Fail over: the old primary is fenced, the other region promoted and opened. Interrupted, it is resumed.",
                "Start-SmcRegionFailover", "smcdr region failover", Component.Database),
            .. Part(site.Dns is not null, new Draft("See that clients are led to it.", "Get-SmcDnsRecord", "smcdr dns show")),
            new("See that backups and log go on from there.", "Measure-SmcObjective", "smcdr objective"),
            new("When the lost region is back, on its host: keep what it alone has, and lead the site back without a loss.",
                "Start-SmcRegionFailback", "smcdr region failback"),
        ];

    private static IReadOnlyList<Draft> ForDataCenter(Site site) =>
    [
        new("See what there is to recover from, here and in the copies.", "Get-SmcBackup -IncludeCopies", "smcdr backup list --include-copies"),
        .. Part(site.PrimaryRegion.Kubernetes is not null, new Draft(
            "Bring the cluster's configuration back.", "Restore-SmcConfiguration", "smcdr restore configuration", Component.Configuration)),
        .. Databases(site, new Draft(
            "Recover the database to the end of the log.", "Invoke-SmcPointInTimeRecovery -Latest", "smcdr restore database --latest", Component.Database)),
        .. Part(site.PrimaryRegion.Redis is not null, new Draft(
            "Recover Redis.", "Restore-SmcRedis -Method Offline", "smcdr restore redis --method offline", Component.Redis)),
        .. site.FileStores.Select(static store => new Draft(
            $"Recover the file store '{store.Name}'.", $"Restore-SmcFileStore '{store.Name}'", $"smcdr restore filestore '{store.Name}'", Component.FileStore)),
        new("Ask the site's own checks.", "Test-SmcSite", "smcdr site test"),
        .. Part(site.Dns is not null, new Draft("Lead clients there.", "Set-SmcDnsRecord -Region '<region>'", "smcdr dns set --region '<region>'")),
        .. Databases(site, new Draft(
            "Begin again to be safe: the log goes on from a new base backup.", "Backup-SmcDatabase -Full", "smcdr backup database --full",
            Step: FullBackupStep.StepKey)),
    ];

    private static IReadOnlyList<Draft> ForRansomware(Site site) =>
    [
        .. Writers(site, new Draft("Stop what writes. Take the network from the hosts that are hit, and their access to the bucket.",
            "Suspend-SmcWorkload", "smcdr workload suspend", Step: SystemRestore.SuspendKey)),
        new("See which backups there are, here and in the copies, and which are locked against removal.", "Get-SmcBackup -IncludeCopies",
            "smcdr backup list --include-copies"),
        new("Hold what is there: no rule removes it then.", "Get-SmcBackup | Protect-SmcBackup -Hold '<incident>'",
            "smcdr protect backup '<id>' --hold '<incident>'"),
        new("Read every byte of them: what was changed is seen by its digest.", "Test-SmcBackup -Deep", "smcdr test backup --deep",
            Step: VerifyBackupsStep.StepKey),
        .. Databases(site,
            new Draft("Find the instant before the first damage.", "Find-SmcTransaction -From '<when it was well>'",
                "smcdr wal find --from '<when it was well>'"),
            new Draft("Recover to a server that is thrown away, and look at it, before it is let in anywhere.", "Test-SmcRecovery -TargetTime '<instant>'",
                "smcdr test recovery --at '<instant>'", Step: TestRecoveryStep.StepKey),
            new Draft("Recover the database on a clean host.", "Invoke-SmcPointInTimeRecovery -TargetTime '<instant>'",
                "smcdr restore database --target-time '<instant>'", Component.Database)),
        .. Part(site.PrimaryRegion.Redis is not null, new Draft(
            "Recover Redis from a backup of before.", "Restore-SmcRedis -BackupId '<id>' -Method Offline",
                "smcdr restore redis --backup '<id>' --method offline", Component.Redis)),
        .. site.FileStores.Select(static store => new Draft(
            $"Recover the file store '{store.Name}' from a backup of before.", $"Restore-SmcFileStore '{store.Name}' -BackupId '<id>'", $"smcdr restore filestore '{store.Name}' --backup '<id>'", Component.FileStore)),
        new("Ask the site's own checks.", "Test-SmcSite", "smcdr site test"),
        .. Part(site.Repository.EncryptionKey is not null, new Draft("Renew the repository's key: somebody may have had it.",
            "Update-SmcRepositoryKey", "smcdr key renew")),
        .. Writers(site, new Draft("Let the applications in, with new passwords.", "Resume-SmcWorkload", "smcdr workload resume", Step: SystemRestore.ResumeKey)),
    ];

    private static IEnumerable<Draft> Writers(Site site, Draft draft) => Part(site.Writers.Count > 0, draft);

    private static Draft[] Databases(Site site, params Draft[] drafts) => site.PrimaryRegion.Database is null ? [] : drafts;

    private static IEnumerable<Draft> Part(bool isThere, Draft draft) => isThere ? [draft] : [];

    /// <param name="Step">The step of plans that does it, by which it is known how long it takes where no component is recovered by it.</param>
    private sealed record Draft(string Title, string Command, string? Program, Component? Component = null, string? Step = null);
}
