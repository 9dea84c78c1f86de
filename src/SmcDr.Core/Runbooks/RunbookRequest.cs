using System.Text.Json;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Core.Runbooks;

/// <summary>A runbook as a command asks for it, and what only a person can decide before it is begun.</summary>
public sealed class RunbookRequest
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_answerTime = TimeSpan.FromSeconds(10);

    private readonly RunbookOptions _options;
    private readonly List<string> _questions = [];

    /// <summary>Prepares it.</summary>
    /// <param name="options">Which runbook, and what is decided already.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: it lacks what must be decided, or has what is not asked.</exception>
    public RunbookRequest(RunbookOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        if (!SiteRunbooks.Scenarios.Contains(options.Scenario))
        {
            throw SiteRunbooks.Unknown(options.Scenario);
        }

        if (options.Region is not null && options.Scenario != IncidentScenario.RegionFailure)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"A region is chosen where a region has failed, not for '{options.Scenario}'.", recommendation: "Leave it out.");
        }

        if (options.TargetTime is not null && options.Scenario is IncidentScenario.PodFailure or IncidentScenario.RegionFailure)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The runbook for '{options.Scenario}' brings back all that there is, and goes to no instant.",
                recommendation: "Leave the instant out.");
        }

        if (options is { Scenario: IncidentScenario.Ransomware, TargetTime: null })
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "After an attack the system is brought back as it was before it, and nobody has said when that was.",
                recommendation: "Give -TargetTime (or --target-time). Find-SmcTransaction ('smcdr wal find') shows what was changed when.");
        }

        Plan = new SitePlanRequest { Kind = RunbookPlan.Kind, DecideAsync = DecideAsync, IsSame = IsSame };
    }

    /// <summary>What is carried out.</summary>
    public SitePlanRequest Plan { get; }

    /// <summary>
    /// What a person has to say yes to before a new plan is begun, each as a question; known when the plan is ready. Empty where the plan that is gone on with
    /// was decided on before.
    /// </summary>
    public IReadOnlyList<string> Questions => _questions;

    private bool IsSame(JsonElement json) => RunbookPlan.Read(json) is var decided && decided.Scenario == _options.Scenario &&
        decided.TargetTime == _options.TargetTime && (_options.Region is null || decided.Region == _options.Region);

    private async Task<JsonElement> DecideAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        RunbookIntent intent = _options.Scenario switch
        {
            IncidentScenario.PodFailure => await ForPodAsync(context, cancellationToken).ConfigureAwait(false),
            IncidentScenario.DatabaseCorruption => await ForDatabaseAsync(context, cancellationToken).ConfigureAwait(false),
            IncidentScenario.RegionFailure when context.Site.Regions.Count > 1 => await ForRegionAsync(context, cancellationToken).ConfigureAwait(false),
            IncidentScenario.Ransomware => await ForRansomwareAsync(context, cancellationToken).ConfigureAwait(false),
            _ => await ForDataCenterAsync(context, cancellationToken).ConfigureAwait(false),
        };
        return Plans.Plan.ToIntent(intent, RunbookJson.Default.RunbookIntent);
    }

    private async Task<RunbookIntent> ForPodAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        long start = TimeProvider.System.GetTimestamp();
        Dictionary<Component, CheckResult> failed;
        try
        {
            while ((failed = await FindFailedAsync(context, cancellationToken).ConfigureAwait(false)).Count > 0 &&
                TimeProvider.System.GetElapsedTime(start) < _options.Patience)
            {
                context.Observer.Progress(new OperationProgress(
                    "Runbook", $"Waiting whether {string.Join(" and ", failed.Keys)} come back without help"));
                await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            context.Observer.Progress(new OperationProgress("Runbook", "") { IsCompleted = true });
        }

        foreach (CheckResult check in failed.Values)
        {
            _questions.Add($"{check.Name} does not come back by itself ({check.Target}): {check.Message} Is it restored to the end of what there is?");
        }

        return failed.Count == 0
            // Nothing is replaced: that it is well is looked at, and noted.
            ? New(SystemRestore.Kind, Plans.Plan.ToIntent(
                new SystemRestoreIntent { DecidedTime = DateTimeOffset.UtcNow }, SystemRestoreJson.Default.SystemRestoreIntent))
            : await RestoreAsync(context, new SystemRestoreOptions { Components = failed.Keys }, cancellationToken).ConfigureAwait(false);
    }

    private async Task<RunbookIntent> ForDatabaseAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        if (_options.TargetTime is null)
        {
            _questions.Add(
                "No instant is given, so the database is recovered to the end of its log: what a command has removed or changed stays so. Is that meant?");
        }

        SystemRestoreOptions options = new() { Components = [Component.Database], TargetTime = _options.TargetTime, ServerMayRun = true };
        return await RestoreAsync(context, options, cancellationToken).ConfigureAwait(false) with { SavesPresent = true, BacksUpAfter = true };
    }

    private async Task<RunbookIntent> ForRegionAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        SitePlanRequest failover = RegionFailover.CreateRequest(_options.Region, planned: false, _options.Force, [], _options.IsPreview);
        return New(failover.Kind, await failover.DecideAsync(context, cancellationToken).ConfigureAwait(false));
    }

    private async Task<RunbookIntent> ForDataCenterAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        if (context.Site.PrimaryRegion.Database is not null && await AnswersAsync(context, cancellationToken).ConfigureAwait(false) is { } server)
        {
            _questions.Add($"The database at {server} answers. Is the system that it belongs to replaced by what was backed up?");
        }

        RunbookIntent intent = await RestoreAsync(
            context, new SystemRestoreOptions { TargetTime = _options.TargetTime }, cancellationToken).ConfigureAwait(false);
        return intent with { BacksUpAfter = context.Site.PrimaryRegion.Database is not null };
    }

    private async Task<RunbookIntent> ForRansomwareAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        RunbookSource source = await RunbookSource.FindAsync(context, _options.TargetTime!.Value, cancellationToken).ConfigureAwait(false);
        if (!source.IsLocked)
        {
            _questions.Add(
                $"No place has a backup of each part from before {DisplayText.Time(_options.TargetTime)} that is locked: who could write to {source.Location} " +
                "could have put something else in its place. Is it restored from there?");
        }

        SitePlanContext alone = context with
        {
            Repository = await context.Site.At(source.Location).OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false),
            Notes = context.Notes,
        };
        SystemRestoreOptions options = new() { TargetTime = _options.TargetTime, ServerMayRun = true };
        return await RestoreAsync(alone, options, cancellationToken).ConfigureAwait(false) with
        {
            Source = source.Location,
            ProvesBackups = true,
            BacksUpAfter = context.Site.PrimaryRegion.Database is not null,
        };
    }

    private async Task<RunbookIntent> RestoreAsync(SitePlanContext context, SystemRestoreOptions options, CancellationToken cancellationToken)
    {
        SitePlanRequest restore = SystemRestore.CreateRequest(options);
        return New(restore.Kind, await restore.DecideAsync(context, cancellationToken).ConfigureAwait(false));
    }

    private RunbookIntent New(SitePlanKind kind, JsonElement plan) => new()
    {
        Scenario = _options.Scenario,
        TargetTime = _options.TargetTime,
        Region = _options.Region,
        Force = _options.Force,
        Kind = kind.Operation,
        Plan = plan,
    };

    /// <summary>What keeps data and does not serve, with what was found of it.</summary>
    private static async Task<Dictionary<Component, CheckResult>> FindFailedAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        Dictionary<Component, CheckResult> failed = [];
        SystemChecks checks = new(context.Site, context.Secrets);
        await foreach (CheckResult result in checks
            .RunAsync([Component.Database, Component.Redis], includeBackups: false, cancellationToken).ConfigureAwait(false))
        {
            // Queries and followers may fail for other reasons, which a restore would not mend.
            Component? component = result.Name switch
            {
                "Database" => Component.Database,
                "Redis" or "RedisWrite" => Component.Redis,
                _ => null,
            };
            if (component is { } found && result.Outcome == CheckOutcomes.Failed)
            {
                failed.TryAdd(found, result);
            }
        }

        return failed;
    }

    /// <summary>The address of the site's database where it answers; null where it does not.</summary>
    private static async Task<string?> AnswersAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        PostgresConnector connector = context.Site.CreateConnector(context.Secrets);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_answerTime);
        try
        {
            NpgsqlConnection connection = await connector.OpenAsync(limit.Token).ConfigureAwait(false);
            await connection.DisposeAsync().ConfigureAwait(false);
            return connector.Display;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.AuthenticationFailed)
        {
            // Who refuses us is there.
            return connector.Display;
        }
        catch (SmcException)
        {
            return null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }
}
