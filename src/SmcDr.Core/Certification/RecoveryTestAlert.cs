using System.Globalization;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Certification;

/// <summary>Tells a site's channels what a test of recovery has come to, be it good or bad: a test that nobody hears of is not missed when it ends.</summary>
public static class RecoveryTestAlert
{
    private const int Checks = 10;

    /// <summary>Tells them; nobody where the site names nobody.</summary>
    /// <param name="site">The site.</param>
    /// <param name="result">The certificate.</param>
    /// <param name="sender">What tells them; it takes secrets out of the text.</param>
    /// <param name="stateDirectory">Where it is noted what was told.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What became of it, for each channel.</returns>
    public static async Task<IReadOnlyList<AlertResult>> TellAsync(
        Site site, RecoveryTestResult result, AlertSender sender, string? stateDirectory, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(sender);
        if (site.Notifications.Count == 0)
        {
            return [];
        }

        return await sender.SendAsync(Create(result), new AlertSendOptions { StateDirectory = stateDirectory }, cancellationToken).ConfigureAwait(false);
    }

    internal static Alert Create(RecoveryTestResult result)
    {
        CheckResult[] wrong = [.. result.Checks.Where(static check => check.Outcome is CheckOutcomes.Failed or CheckOutcomes.Warning)];
        List<AlertField> fields =
        [
            new AlertField("Certificate", result.TestId),
            new AlertField("Backup", result.BackupId ?? "none"),
            new AlertField("Checks", string.Create(CultureInfo.InvariantCulture, $"{result.Checks.Count - wrong.Length} of {result.Checks.Count} passed")),
        ];
        if (result.RecoverySeconds is { } seconds)
        {
            string objective = result.ObjectiveSeconds is { } allowed ? $", of {DisplayText.Seconds(allowed)}" : "";
            fields.Add(new AlertField("Recovery", $"{DisplayText.Seconds(seconds)}{objective}"));
        }

        if (result.RecoveredTime is { } time)
        {
            fields.Add(new AlertField("Recovered to", DisplayText.Time(time)));
        }

        fields.Add(new AlertField("By", result.By));
        return Alert.Create(
            result.Site,
            result.Outcome switch
            {
                CheckOutcomes.Failed => AlertSeverity.Critical,
                CheckOutcomes.Warning => AlertSeverity.Warning,
                _ => AlertSeverity.Information,
            },
            result.Outcome switch
            {
                CheckOutcomes.Failed => $"Recovery test FAILED: {wrong.FirstOrDefault(static check => check.Outcome == CheckOutcomes.Failed)?.Name}",
                CheckOutcomes.Warning => "Recovery test passed with warnings",
                _ => "Recovery test passed",
            },
            string.Join('\n', wrong.Take(Checks).Select(static check => $"{check.Outcome} {check.Name} ({check.Target}): {check.Message} {check.Recommendation}".TrimEnd())),
            fields,
            // Each test is news of its own: one that fails each month is told each month.
            $"recovery-test/{result.TestId}",
            isResolved: false,
            DateTimeOffset.UtcNow);
    }
}
