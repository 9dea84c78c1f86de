using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Runbooks.Steps;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Retention;

namespace SmcDr.Core.Tests.Runbooks;

public sealed class HoldBackupsStepTests
{
    [Fact]
    public async Task ActAsync_AfterAnInterruption_HoldsEachBackupOnce_AndLeavesTheHoldsOfOthers()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default);
        string id = await RetentionWorld.WriteAsync(repository, "files", null, 1);
        BackupProtections protections = new(repository);
        await protections.HoldAsync(Component.FileStore, id, "an audit", default);
        SitePlanContext site = new()
        {
            Site = SiteFile.Parse(
                "{ name: orders, repository: { location: /srv/repository }, regions: { here: { role: primary } } }", "/etc/smcdr.yaml"),
            Secrets = new SecretResolver(),
            Repository = repository,
            Observer = NullObserver.Instance,
        };
        HoldBackupsStep step = new(
            site,
            new RunbookIntent { Scenario = IncidentScenario.Ransomware, Kind = "system", Plan = default },
            new SystemRestoreIntent
            {
                DecidedTime = DateTimeOffset.UtcNow,
                FileStores = [new ChosenBackup(id, "files", DateTimeOffset.UtcNow, 1)],
            },
            []);

        for (int i = 0; i < 3; i++)
        {
            await step.ActAsync(
                new StepContext(HoldBackupsStep.StepKey, null, i > 0, new StepOutputs(), static (_, _) => Task.CompletedTask, NullObserver.Instance), default);
        }

        ProtectionState state = await protections.GetAsync(Component.FileStore, id, default);
        Assert.Equal(2, state.Holds.Count);
        Assert.Single(state.Holds, static hold => hold.StartsWith("runbook Ransomware (by ", StringComparison.Ordinal));
    }
}
