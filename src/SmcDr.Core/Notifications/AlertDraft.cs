using System.Globalization;

namespace SmcDr.Core.Notifications;

/// <summary>What there is to tell about results: what was found, and how bad it is.</summary>
/// <param name="Severity">How much it matters.</param>
/// <param name="Title">What happened, in a line.</param>
/// <param name="Lines">One line for each result.</param>
/// <param name="Key">The same each time that such results are told: what fails for days is one thing, however many results there are of it.</param>
public sealed record AlertDraft(AlertSeverity Severity, string Title, IReadOnlyList<string> Lines, string Key)
{
    /// <summary>The draft of results; null where one of them is of a kind that SmcDr does not know.</summary>
    public static AlertDraft? From(IReadOnlyCollection<object> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        AlertDraft[] drafts =
        [
            .. new[]
            {
                Of<BackupTestResult>(
                    results,
                    "backups",
                    static result => SeverityOf(result.Outcome),
                    static count => Count(count, "backup is not as it must be", "backups are not as they must be"),
                    static result => $"{(result.Id.Length > 0 ? result.Id : result.Component)}: {result.Outcome}. {string.Join(' ', result.Problems)}"),
                Of<CheckResult>(
                    results,
                    "checks",
                    static result => SeverityOf(result.Outcome),
                    static count => $"{Count(count, "check", "checks")} did not pass",
                    static result => $"{result.Name} ({result.Target}): {result.Outcome}. {result.Message}"),
                Of<ObjectiveResult>(
                    results,
                    "objectives",
                    static result => result.Verdict switch
                    {
                        "Missed" => AlertSeverity.Critical,
                        "Unknown" => AlertSeverity.Error,
                        "AtRisk" => AlertSeverity.Warning,
                        _ => AlertSeverity.Information,
                    },
                    static count => Count(count, "objective does not hold", "objectives do not hold"),
                    static result => $"{result.Component}{(result.Subject is null ? "" : " " + result.Subject)}: {result.Verdict}. {string.Join(' ', result.Problems)}"),
                Of<BackupFailure>(
                    results,
                    "backup failures",
                    static failure => failure.NextBackupId is null ? AlertSeverity.Error : AlertSeverity.Warning,
                    static count => Count(count, "backup failed", "backups failed"),
                    static failure => $"{failure} {failure.Recommendation}".TrimEnd()),
            }.OfType<AlertDraft>(),
        ];
        return drafts.Length == 0 || drafts.Sum(static draft => draft.Lines.Count) < results.Count ? null : new AlertDraft(
            drafts.Max(static draft => draft.Severity),
            string.Join("; ", drafts.Select(static draft => draft.Title)),
            [.. drafts.SelectMany(static draft => draft.Lines)],
            string.Join('+', drafts.Select(static draft => draft.Key)));
    }

    private static AlertDraft? Of<T>(
        IReadOnlyCollection<object> results, string key, Func<T, AlertSeverity> severity, Func<int, string> title, Func<T, string> line)
    {
        T[] all = [.. results.OfType<T>()];
        int bad = all.Count(result => severity(result) > AlertSeverity.Information);
        return all.Length == 0 ? null : new AlertDraft(
            all.Max(severity),
            bad > 0 ? title(bad) : $"All is well with the {key}",
            [.. all.Select(result => line(result).TrimEnd())],
            key);
    }

    private static string Count(int count, string one, string many) => string.Create(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? one : many)}");

    private static AlertSeverity SeverityOf(string outcome) => outcome switch
    {
        "Failed" => AlertSeverity.Error,
        "Warning" or "Partial" => AlertSeverity.Warning,
        _ => AlertSeverity.Information,
    };
}
