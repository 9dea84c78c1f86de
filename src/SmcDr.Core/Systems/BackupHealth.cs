using System.Runtime.CompilerServices;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Systems;

/// <summary>Whether backups and WAL are as recent as the site wants them.</summary>
internal sealed class BackupHealth(Site site, SecretResolver secrets, TimeProvider clock)
{
    // Where the site has no objective: older than a daily backup can be.
    private static readonly TimeSpan s_oldest = TimeSpan.FromHours(25);

    public async IAsyncEnumerable<CheckResult> RunAsync(
        IReadOnlyCollection<Component> components, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckRun whole = new(site.Repository.Location, clock);
        Repository? repository = null;
        IReadOnlyList<ObjectiveResult> measured = [];
        CheckResult readable = await whole.CheckAsync("Repository", async () =>
        {
            repository = await site.OpenForReadingAsync(secrets, NullObserver.Instance, cancellationToken).ConfigureAwait(false);
            if (site.Objectives is not { Database: null, Redis: null, Configuration: null, FileStore: null })
            {
                measured = await new ObjectiveMeter(site, secrets, isOffline: false, NullObserver.Instance)
                    .MeasureAsync(cancellationToken).ConfigureAwait(false);
            }

            return CheckFinding.Passed("It can be read.");
        }).ConfigureAwait(false);
        yield return readable;
        foreach (ExpectedBackup expected in site.GetExpectedBackups().Where(one => components.Count == 0 || components.Contains(one.Component)))
        {
            string component = expected.Component.ToString();
            string? store = expected.Component == Component.FileStore ? expected.Subject : null;
            CheckRun run = new(store is null ? component : $"{component} {store}", clock);
            yield return readable.Outcome != CheckOutcomes.Passed
                ? run.Skip("BackupAge", "Repository did not pass.")
                : measured.FirstOrDefault(one => one.Component == component && one.Subject == store) is { RpoVerdict: { } verdict } objective
                    ? await run.CheckAsync("BackupAge", () => Task.FromResult(Judge(objective, verdict))).ConfigureAwait(false)
                    : await run.CheckAsync("BackupAge", () => FindAsync(repository!, expected, cancellationToken)).ConfigureAwait(false);
        }
    }

    private static CheckFinding Judge(ObjectiveResult objective, string verdict)
    {
        string loss = objective.LossSeconds is null
            ? "What would be lost now is not known"
            : $"{(objective.LossIsBound ? "Up to " : "")}{DisplayText.Seconds(objective.LossSeconds)} would be lost now";
        string message = $"{loss}, and {DisplayText.Duration(objective.Rpo)} may be. {string.Join(' ', objective.Problems)}";
        const string Recommendation = "Take a backup now, start the WAL stream where it does not run, and find out why the schedule took none.";
        return verdict switch
        {
            "Met" => CheckFinding.Passed(message.TrimEnd()),
            "AtRisk" => CheckFinding.Warning(message.TrimEnd(), Recommendation),
            _ => CheckFinding.Failed(message.TrimEnd(), Recommendation),
        };
    }

    private async Task<CheckFinding> FindAsync(Repository repository, ExpectedBackup expected, CancellationToken cancellationToken)
    {
        const string Take = "Take one now: Backup-SmcSystem (or 'smcdr system backup').";
        DateTimeOffset now = clock.GetUtcNow();
        BackupHeader? newest = await repository.FindNewestAsync(
            expected.Component, header => IsMeant(header) && !header.IsAhead(now), cancellationToken).ConfigureAwait(false);
        if (newest is null)
        {
            BackupHeader? ahead = await repository.FindNewestAsync(expected.Component, IsMeant, cancellationToken).ConfigureAwait(false);
            return CheckFinding.Failed(
                ahead is not null
                    ? $"The newest backup, {ahead.Id}, began at {DisplayText.Time(ahead.StartTime)}, which is in the future: a clock is wrong, or was."
                    : expected.Component == Component.Configuration ? "There is no backup with the site's namespace and its Secrets."
                    : "There is no backup.",
                Take);
        }

        TimeSpan age = now - newest.StartTime;
        string message = $"The newest backup, {newest.Id}, is {DisplayText.Duration(age)} old.";
        return age <= s_oldest ? CheckFinding.Passed(message) : CheckFinding.Warning(message, "Take a backup now, and find out why the schedule took none.");

        bool IsMeant(BackupHeader header) => (expected.Component != Component.Database || header.Database is not null) && expected.Includes(header);
    }
}
