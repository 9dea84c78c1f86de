using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

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

    /// <summary>The runbook of a scenario.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where recoveries were measured; null = it does not answer, and nothing is known of them.</param>
    /// <param name="scenario">The scenario.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there is none.</exception>
    public static async Task<RunbookInfo> GetAsync(Site site, Repository? repository, IncidentScenario scenario, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        (string title, IReadOnlyList<Draft> drafts) = scenario switch
        {
            IncidentScenario.PodFailure => ("A single pod has failed", ForPod(site)),
            IncidentScenario.DatabaseCorruption => ("The database is damaged, or has lost data", ForDatabase(site)),
            IncidentScenario.RegionFailure => ("The primary region is gone", ForRegion(site)),
            IncidentScenario.DataCenterFailure => ("A data centre is gone, with all that was in it", ForDataCenter(site)),
            IncidentScenario.Ransomware => ("Somebody has encrypted or destroyed data on purpose", ForRansomware(site)),
            _ => throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"There is no runbook for '{scenario}'.",
                recommendation: $"Give one of: {string.Join(", ", Scenarios)}.",
                target: scenario.ToString()),
        };
        Draft[] all =
        [
            new("Open an incident: all that follows is noted in it, and the contacts are told.",
                $"Start-SmcIncident '<what happened>' -Scenario {scenario}", $"smcdr incident start '<what happened>' --scenario {scenario}"),
            .. drafts,
            new("Close the incident, and write the report.",
                "Stop-SmcIncident -Summary '<what became of it>' | Export-SmcReport -Path ./incident.html",
                    "smcdr incident stop --summary '<what became of it>'"),
        ];
        Dictionary<Component, double[]> measured = [];
        foreach (Component component in all.Select(static draft => draft.Component).OfType<Component>().Distinct())
        {
            measured[component] = repository is null ? [] :
            [
                .. (await RecoveryMeasurements.ListAsync(repository, site.Name, component, [], cancellationToken).ConfigureAwait(false))
                    .Take(Newest).Select(static one => one.Seconds).Order(),
            ];
        }

        RunbookStep[] steps = [.. all.Select((draft, index) => ToStep(site, draft, index + 1, measured))];
        RunbookStep[] recoveries = [.. steps.Where(static step => step.Component is not null)];
        return new RunbookInfo
        {
            Site = site.Name,
            Scenario = scenario,
            Title = title,
            Objective = recoveries.Max(static step => step.Objective),
            Measured = recoveries.Length > 0 && recoveries.All(static step => step.Measured is not null)
                ? recoveries.Aggregate(TimeSpan.Zero, static (sum, step) => sum + step.Measured!.Value)
                : null,
            Steps = steps,
        };
    }

    private static RunbookStep ToStep(Site site, Draft draft, int number, Dictionary<Component, double[]> measured)
    {
        double[] seconds = draft.Component is { } component ? measured[component] : [];
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
            Measured = seconds.Length == 0 ? null : TimeSpan.FromSeconds((seconds[(seconds.Length - 1) / 2] + seconds[seconds.Length / 2]) / 2),
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
        .. Writers(site, new Draft("Stop what writes to the database.", "Suspend-SmcWorkload", "smcdr workload suspend")),
        new("Keep what can still be read of the present state. No rule removes it.", "Backup-SmcDatabase -Emergency", "smcdr backup database --emergency"),
        new("Find who did what, and the instant before it.", "Find-SmcTransaction -From '<when it was well>'", "smcdr wal find --from '<when it was well>'"),
        new("See which instants can be recovered.", "Get-SmcRecoveryWindow", "smcdr window list"),
        new("Look at the plan.", "Invoke-SmcPointInTimeRecovery -TargetTime '<instant>' -WhatIf", "smcdr restore database --target-time '<instant>' --dry-run"),
        new("Recover. What is there is moved aside, not deleted; interrupted, the same command goes on.",
            "Invoke-SmcPointInTimeRecovery -TargetTime '<instant>'", "smcdr restore database --target-time '<instant>'", Component.Database),
        new("Ask the site's own checks.", "Test-SmcSite", "smcdr site test"),
        .. Writers(site, new Draft("Let the applications in.", "Resume-SmcWorkload", "smcdr workload resume")),
        new("Begin again to be safe: the log goes on from a new base backup.", "Backup-SmcDatabase -Full", "smcdr backup database --full"),
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
        ];

    private static IReadOnlyList<Draft> ForDataCenter(Site site) =>
    [
        new("See what there is to recover from, here and in the copies.", "Get-SmcBackup -IncludeCopies", "smcdr backup list --include-copies"),
        .. Part(site.PrimaryRegion.Kubernetes is not null, new Draft(
            "Bring the cluster's configuration back.", "Restore-SmcConfiguration", "smcdr restore configuration", Component.Configuration)),
        new("Recover the database to the end of the log.", "Invoke-SmcPointInTimeRecovery -Latest", "smcdr restore database --latest", Component.Database),
        .. Part(site.PrimaryRegion.Redis is not null, new Draft(
            "Recover Redis.", "Restore-SmcRedis -Method Offline", "smcdr restore redis --method offline", Component.Redis)),
        .. site.FileStores.Select(static store => new Draft(
            $"Recover the file store '{store.Name}'.", $"Restore-SmcFileStore '{store.Name}'", $"smcdr restore filestore '{store.Name}'", Component.FileStore)),
        new("Ask the site's own checks.", "Test-SmcSite", "smcdr site test"),
        .. Part(site.Dns is not null, new Draft("Lead clients there.", "Set-SmcDnsRecord -Region '<region>'", "smcdr dns set --region '<region>'")),
        new("Begin again to be safe: the log goes on from a new base backup.", "Backup-SmcDatabase -Full", "smcdr backup database --full"),
    ];

    private static IReadOnlyList<Draft> ForRansomware(Site site) =>
    [
        .. Writers(site, new Draft("Stop what writes. Take the network from the hosts that are hit, and their access to the bucket.",
            "Suspend-SmcWorkload", "smcdr workload suspend")),
        new("See which backups there are, here and in the copies, and which are locked against removal.", "Get-SmcBackup -IncludeCopies",
            "smcdr backup list --include-copies"),
        new("Hold what is there: no rule removes it then.", "Get-SmcBackup | Protect-SmcBackup -Hold '<incident>'",
            "smcdr protect backup '<id>' --hold '<incident>'"),
        new("Read every byte of them: what was changed is seen by its digest.", "Test-SmcBackup -Deep", "smcdr test backup --deep"),
        new("Find the instant before the first damage.", "Find-SmcTransaction -From '<when it was well>'", "smcdr wal find --from '<when it was well>'"),
        new("Recover to a server that is thrown away, and look at it, before it is let in anywhere.", "Test-SmcRecovery -TargetTime '<instant>'",
            "smcdr test recovery --at '<instant>'"),
        new("Recover the database on a clean host.", "Invoke-SmcPointInTimeRecovery -TargetTime '<instant>'",
            "smcdr restore database --target-time '<instant>'", Component.Database),
        .. Part(site.PrimaryRegion.Redis is not null, new Draft(
            "Recover Redis from a backup of before.", "Restore-SmcRedis -BackupId '<id>' -Method Offline",
                "smcdr restore redis --backup '<id>' --method offline", Component.Redis)),
        .. site.FileStores.Select(static store => new Draft(
            $"Recover the file store '{store.Name}' from a backup of before.", $"Restore-SmcFileStore '{store.Name}' -BackupId '<id>'", $"smcdr restore filestore '{store.Name}' --backup '<id>'", Component.FileStore)),
        new("Ask the site's own checks.", "Test-SmcSite", "smcdr site test"),
        .. Part(site.Repository.EncryptionKey is not null, new Draft("Renew the repository's key: somebody may have had it.",
            "Update-SmcRepositoryKey", "smcdr key renew")),
        .. Writers(site, new Draft("Let the applications in, with new passwords.", "Resume-SmcWorkload", "smcdr workload resume")),
    ];

    private static IEnumerable<Draft> Writers(Site site, Draft draft) => Part(site.Writers.Count > 0, draft);

    private static IEnumerable<Draft> Part(bool isThere, Draft draft) => isThere ? [draft] : [];

    private sealed record Draft(string Title, string Command, string? Program, Component? Component = null);
}
