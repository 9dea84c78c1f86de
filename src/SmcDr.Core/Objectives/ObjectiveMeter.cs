using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Objectives;

/// <summary>Measures what holds now of a site's objectives, as often as it is asked.</summary>
public sealed class ObjectiveMeter
{
    /// <summary>The part of an objective from which on somebody should look.</summary>
    public const double Risk = 0.8;

    private const string Met = "Met";
    private const string AtRisk = "AtRisk";
    private const string Unknown = "Unknown";
    private const string Missed = "Missed";

    private readonly Site _site;
    private readonly SecretResolver _secrets;
    private readonly bool _isOffline;
    private readonly IOperationObserver _observer;
    private readonly TimeProvider _clock;
    private readonly Dictionary<string, RecoveryMeasurement> _measurements = new(StringComparer.Ordinal);

    /// <summary>Creates it.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives passwords and keys.</param>
    /// <param name="isOffline">Whether no server is asked what it has that the repository lacks.</param>
    /// <param name="observer">Hears of what cannot be read.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the site has no objectives.</exception>
    public ObjectiveMeter(Site site, SecretResolver secrets, bool isOffline, IOperationObserver observer)
        : this(site, secrets, isOffline, observer, TimeProvider.System)
    {
    }

    internal ObjectiveMeter(Site site, SecretResolver secrets, bool isOffline, IOperationObserver observer, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(site);
        if (site.Objectives is { Database: null, Redis: null, Configuration: null, FileStore: null })
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The site '{site.Name}' has no objectives.",
                recommendation: $"Add 'objectives: {{ database: {{ rto: 15m, rpo: 5m }} }}' to '{site.Path}'.",
                target: site.Name);
        }

        _site = site;
        _secrets = secrets;
        _isOffline = isOffline;
        _observer = observer;
        _clock = clock;
    }

    /// <summary>Measures: a result for each component that has objectives, and for each file store.</summary>
    public async Task<IReadOnlyList<ObjectiveResult>> MeasureAsync(CancellationToken cancellationToken)
    {
        // Opened anew each time: a key that was renewed, or a repository that was away, is seen the next time.
        Repository repository = await _site.OpenForReadingAsync(_secrets, _observer, cancellationToken).ConfigureAwait(false);
        await using (repository.Store.ConfigureAwait(false))
        {
            return await MeasureAsync(repository, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<IReadOnlyList<ObjectiveResult>> MeasureAsync(Repository repository, CancellationToken cancellationToken)
    {
        List<ObjectiveResult> results = [];
        foreach ((Component component, ObjectiveSettings? objective) in new[]
        {
            (Component.Database, _site.Objectives.Database),
            (Component.Redis, _site.Objectives.Redis),
            (Component.Configuration, _site.Objectives.Configuration),
            (Component.FileStore, _site.Objectives.FileStore),
        })
        {
            if (objective is null)
            {
                continue;
            }

            ExpectedBackup[] expected = [.. _site.GetExpectedBackups().Where(one => one.Component == component)];
            if (expected.Length == 0)
            {
                results.Add(Judge(New(repository, component, null, objective) with { Problems = [$"The site has objectives for {Noun(component)}, and does not say where it is."] }));
            }

            IReadOnlyList<RecoveryMeasurement> measurements = expected.Length == 0 ? []
                : await RecoveryMeasurements.ListAsync(repository, _site.Name, component, _measurements, cancellationToken).ConfigureAwait(false);
            foreach (ExpectedBackup one in expected)
            {
                ObjectiveResult result = New(repository, component, component == Component.FileStore ? one.Subject : null, objective);
                result = component == Component.Database
                    ? await MeasureDatabaseAsync(repository, result, one, cancellationToken).ConfigureAwait(false)
                    : await MeasureBackupsAsync(repository, result, one, cancellationToken).ConfigureAwait(false);
                results.Add(Judge(Predict(result, measurements)));
            }
        }

        return results;
    }

    /// <summary>The failure that results come to, or null where every objective holds.</summary>
    public static SmcException? FindFailure(IReadOnlyCollection<ObjectiveResult> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        ObjectiveResult[] failed = [.. results.Where(static result => result.Verdict is Missed or Unknown)];
        return failed.Length == 0 ? null : new SmcException(
            SmcErrorCode.ObjectiveMissed,
            string.Join(' ', failed.Select(static result => $"{NameOf(result)}: {result.Verdict}. {string.Join(' ', result.Problems)}".TrimEnd())),
            target: NameOf(failed[0]));
    }

    /// <summary>What to warn of: each result that is at risk, in a sentence.</summary>
    public static IEnumerable<string> FindWarnings(IReadOnlyCollection<ObjectiveResult> results) => results
        .Where(static result => result.Verdict == AtRisk)
        .Select(static result => $"{NameOf(result)} is at risk: {string.Join(' ', result.Problems)}");

    private ObjectiveResult New(Repository repository, Component component, string? subject, ObjectiveSettings objective) => new()
    {
        Site = _site.Name,
        Component = component.ToString(),
        Subject = subject,
        Verdict = Unknown,
        Rpo = objective.Rpo,
        Rto = objective.Rto,
        Time = _clock.GetUtcNow(),
        Repository = repository.Location,
    };

    private async Task<ObjectiveResult> MeasureDatabaseAsync(
        Repository repository, ObjectiveResult result, ExpectedBackup expected, CancellationToken cancellationToken)
    {
        IReadOnlyList<RecoveryWindow> windows = await _site
            .ListWindowsAsync(repository, expected.Includes, _secrets, _isOffline, _observer, cancellationToken).ConfigureAwait(false);
        if (windows.Count == 0)
        {
            return await MeasureDumpsAsync(repository, result, expected, cancellationToken).ConfigureAwait(false);
        }

        // That of the cluster that the site's server is; where it was not asked, the newest.
        RecoveryWindow window = windows.LastOrDefault(static one => one.LossBytes is not null || one.LossProblem is not null) ?? windows[^1];
        List<string> problems = [];
        double? loss = window.LossSeconds;
        if (loss is null)
        {
            DateTimeOffset end = window.LatestTime ?? window.EarliestTime;
            if (end > result.Time + BackupHeader.ClockMargin)
            {
                problems.Add($"What can be recovered ends at {DisplayText.Time(end)}, which is in the future: a clock is wrong, or was.");
            }
            else
            {
                loss = Math.Max(0, (result.Time - end).TotalSeconds);
            }

            problems.Add(window.LossProblem is { } problem
                ? $"The server cannot be asked what it has that the repository lacks: {problem}"
                : "The server was not asked what it has that the repository lacks.");
        }

        if (window.Gap is { } gap)
        {
            problems.Add($"The archive goes on behind a gap, which nothing leads over: {gap} is missing.");
        }

        BackupEntry? backup = await repository.TryFindAsync(Component.Database, window.BackupId, cancellationToken).ConfigureAwait(false);
        bool isStreaming = ulong.TryParse(window.SystemId, NumberStyles.None, CultureInfo.InvariantCulture, out ulong systemId) &&
            await StreamClaim.IsAliveAsync(repository, systemId, result.Time, cancellationToken).ConfigureAwait(false);
        if (!isStreaming)
        {
            problems.Add("No WAL stream gives a sign of life, so that what is committed from now on is lost.");
        }

        return result with
        {
            LossSeconds = loss,
            LossIsBound = window.LossSeconds is null,
            LossBytes = window.LossBytes,
            BackupId = window.BackupId,
            BackupTime = backup?.Header?.StartTime,
            BackupBytes = backup?.Header?.SizeBytes,
            WalBytes = window.WalBytes,
            RecoverableTime = window.LatestTime ?? window.EarliestTime,
            IsStreaming = isStreaming,
            Problems = problems,
        };
    }

    /// <summary>Where there are dumps alone, the newest one is all that is left.</summary>
    private static async Task<ObjectiveResult> MeasureDumpsAsync(
        Repository repository, ObjectiveResult result, ExpectedBackup expected, CancellationToken cancellationToken)
    {
        BackupHeader? newest = await FindNewestAsync(
            repository, result, Component.Database, header => header.Logical is not null && expected.Includes(header), cancellationToken).ConfigureAwait(false);
        return newest is null
            ? Without(result)
            : With(
                result,
                newest,
                "There is no physical backup that can be recovered to the last minute, and what the newest logical one lacks would be lost.");
    }

    private static async Task<ObjectiveResult> MeasureBackupsAsync(
        Repository repository, ObjectiveResult result, ExpectedBackup expected, CancellationToken cancellationToken)
    {
        BackupHeader? newest = await FindNewestAsync(repository, result, expected.Component, expected.Includes, cancellationToken).ConfigureAwait(false);
        return newest is null
            ? Without(result)
            : With(result, newest, newest.IsPartial ? $"The backup {newest.Id} lacks what could not be read." : null);
    }

    /// <summary>The newest of the backups that are meant; one that began in the future only where there is no other.</summary>
    private static async Task<BackupHeader?> FindNewestAsync(
        Repository repository, ObjectiveResult result, Component component, Func<BackupHeader, bool> isMeant, CancellationToken cancellationToken) =>
        await repository.FindNewestAsync(component, header => isMeant(header) && !header.IsAhead(result.Time), cancellationToken).ConfigureAwait(false) ??
        await repository.FindNewestAsync(component, isMeant, cancellationToken).ConfigureAwait(false);

    private static ObjectiveResult Without(ObjectiveResult result) => result with
    {
        RpoVerdict = result.Rpo is null ? null : Missed,
        RtoVerdict = result.Rto is null ? null : Missed,
        Problems = ["There is no backup to recover from: everything would be lost."],
    };

    /// <summary>What has changed since a backup began would be lost, and nobody knows whether anything has.</summary>
    private static ObjectiveResult With(ObjectiveResult result, BackupHeader backup, string? problem) => result with
    {
        LossSeconds = backup.IsAhead(result.Time) ? null : Math.Max(0, (result.Time - backup.StartTime).TotalSeconds),
        LossIsBound = true,
        Problems =
        [
            .. problem is null ? Array.Empty<string>() : [problem],
            .. backup.IsAhead(result.Time)
                ? [$"The newest backup, {backup.Id}, began at {DisplayText.Time(backup.StartTime)}, which is in the future: a clock is wrong, or was."]
                : Array.Empty<string>(),
        ],
        BackupId = backup.Id,
        BackupTime = backup.StartTime,
        BackupBytes = backup.SizeBytes,
    };

    private ObjectiveResult Predict(ObjectiveResult result, IReadOnlyList<RecoveryMeasurement> all)
    {
        RecoveryMeasurement[] same = [.. all.Where(one => one.Subject == result.Subject)];
        if (result.Component == nameof(Component.Database))
        {
            string way = _site.PrimaryRegion.Database?.Workload is null ? "Host" : "Pod";
            same = [.. same.Where(one => one.Way == way)];
        }
        else if (same.Length > 0)
        {
            same = [.. same.Where(one => one.Way == same[0].Way)];
        }

        same = [.. same.Take(5)];
        bool canRecover = result.BackupId is not null && (result.Component != nameof(Component.Database) || result.IsStreaming is not null);
        return result with
        {
            PredictedRecoverySeconds = canRecover ? RecoveryPrediction.Predict(same, result.BackupBytes, result.WalBytes) : null,
            MeasuredRecoveryCount = same.Length,
            ProvenTime = same.Select(one => one.RecoveredTime ?? TimeOf(one.BackupId)).Max(),
            LastRecoveryTime = same.Length == 0 ? null : same[0].StartTime,
        };
    }

    private static DateTimeOffset? TimeOf(string backup) => backup.Length > 16 && DateTimeOffset.TryParseExact(
        backup[..16], "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time) ? time : null;

    private static ObjectiveResult Judge(ObjectiveResult result)
    {
        List<string> problems = [.. result.Problems];
        string? rpo = result.RpoVerdict ?? Judge(result.Rpo, result.LossSeconds);
        if (rpo == Met && result.IsStreaming == false)
        {
            rpo = AtRisk;
        }

        if (result.Rpo is { } most && result.LossSeconds is { } loss && loss > most.TotalSeconds * Risk)
        {
            string upTo = result.LossIsBound ? "up to " : "";
            problems.Add($"{upTo}{DisplayText.Seconds(loss)} of changes would be lost now, and {DisplayText.Duration(most)} may be.");
        }

        string? rto = result.RtoVerdict ?? Judge(result.Rto, result.PredictedRecoverySeconds);
        if (result.Rto is { } longest && result.PredictedRecoverySeconds is { } predicted && predicted > longest.TotalSeconds * Risk)
        {
            problems.Add($"A recovery is predicted to take {DisplayText.Seconds(predicted)}, and may take {DisplayText.Duration(longest)}.");
        }
        else if (rto == Unknown && result.BackupId is not null)
        {
            problems.Add("How long a recovery takes is not known: none was measured. " + (result.Component == nameof(Component.Database)
                ? "Run Test-SmcRecovery (or smcdr test recovery)."
                : "Restore a backup once, beside what runs."));
        }

        string[] verdicts = [.. new[] { rpo, rto }.OfType<string>()];
        return result with
        {
            RpoVerdict = rpo,
            RtoVerdict = rto,
            Verdict = verdicts.Length == 0 ? Met : new[] { Missed, Unknown, AtRisk, Met }.First(verdicts.Contains),
            Problems = [.. problems.Select(static problem => char.ToUpperInvariant(problem[0]) + problem[1..])],
        };
    }

    private static string? Judge(TimeSpan? objective, double? seconds) => objective is not { } limit ? null
        : seconds is not { } value ? Unknown
        : value > limit.TotalSeconds ? Missed
        : value > limit.TotalSeconds * Risk ? AtRisk
        : Met;

    private static string NameOf(ObjectiveResult result) => result.Subject is null ? result.Component : $"{result.Component} {result.Subject}";

    private static string Noun(Component component) => component switch
    {
        Component.Database => "a database",
        Component.Redis => "Redis",
        Component.Configuration => "a Kubernetes configuration",
        _ => "file stores",
    };
}
