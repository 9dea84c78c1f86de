using System.Text;
using SmcDr.Core.Encryption;
using SmcDr.Core.Leases;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Copies;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Verification;
using static SmcDr.Core.Tests.Plans.PlanWorld;

namespace SmcDr.Core.Tests.Plans;

/// <summary>Journals as they lie in a repository, and what others make of them.</summary>
public sealed class PlanJournalTests
{
    [Fact]
    public async Task LoadAsync_DamagedEntry_IsNamedAndNotGuessedAt_AndThePlanCanBeGivenUp()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        string id = await BeginAsync(repository);
        string key = $"journal/orders/{id}/0000000001";
        byte[] content = await store.ReadAsync(key);
        content[^10] ^= 1;
        await store.DeleteAsync(key, CancellationToken.None);
        await store.PutAsync(key, content, CancellationToken.None);

        SmcException error = await SmcErrorCode.ChecksumMismatch.ThrowsAsync(() => PlanJournal.LoadAsync(repository, Site, id, CancellationToken.None));
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
        Assert.Equal("Damaged", Assert.Single(await PlanJournals.ListAsync(repository, Site, 10, CancellationToken.None)).State);
        await GiveUpAsync(repository);
    }

    [Fact]
    public async Task LoadAsync_EntryIsMissing_IsNamed_AndThePlanCanBeGivenUp()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        string id = await BeginAsync(repository);
        await store.DeleteAsync($"journal/orders/{id}/0000000001", CancellationToken.None);
        SmcException error = await SmcErrorCode.ManifestInvalid.ThrowsAsync(() => PlanJournal.LoadAsync(repository, Site, id, CancellationToken.None));
        Assert.Contains("lacks the entry 1", error.Message, StringComparison.Ordinal);
        await GiveUpAsync(repository);
    }

    [Fact]
    public async Task LoadAsync_EntryOfAnotherPlanInItsPlace_IsNotBelieved()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        string id = await BeginAsync(repository);
        byte[] content = await store.ReadAsync($"journal/orders/{id}/0000000001");
        await store.PutAsync($"journal/orders/{id}/0000000009", content, CancellationToken.None);
        await SmcErrorCode.ManifestInvalid.ThrowsAsync(() => PlanJournal.LoadAsync(repository, Site, id, CancellationToken.None));
    }

    [Fact]
    public async Task GetAsync_UnknownPlan_IsRefused()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), CancellationToken.None);
        foreach (string id in new[] { "20260101T000000Z-restore-system", "../other", "" })
        {
            await SmcErrorCode.PlanUnsuitable.ThrowsAsync(() => PlanJournals.GetAsync(repository, Site, id, CancellationToken.None));
        }
    }

    [Fact]
    public async Task Journal_EncryptedRepository_SaysNothingToWhoHasNoKey()
    {
        MemoryObjectStore store = new();
        using RepositoryKeySource key = new PassphraseSource("a passphrase for the test");
        Repository repository = await Repository.OpenOrCreateAsync(store, key, CancellationToken.None);
        string id = await BeginAsync(repository);
        string[] keys = [.. store.Keys.Where(static key => key.StartsWith("journal/", StringComparison.Ordinal))];
        Assert.NotEmpty(keys);
        foreach (string stored in keys)
        {
            Assert.DoesNotContain("Restore", Encoding.Latin1.GetString(await store.ReadAsync(stored)), StringComparison.Ordinal);
        }

        Assert.Equal("Unfinished", (await PlanJournals.GetAsync(repository, Site, id, CancellationToken.None)).State);
    }

    [Fact]
    public async Task Journal_OnRealDirectory_IsReadByAnotherProcessesRepository()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "repository");
        await BeginAsync(await Repository.OpenOrCreateAsync(new DirectoryObjectStore(path), CancellationToken.None));
        Repository other = await Repository.OpenAsync(new DirectoryObjectStore(path), CancellationToken.None);
        await RunAsync(other, [new ScriptedStep("first"), new ScriptedStep("second", "first")], await OpenIdAsync(other));
        Assert.Equal("Succeeded", Assert.Single(await PlanJournals.ListAsync(other, Site, 10, CancellationToken.None)).State);
    }

    [Fact]
    public async Task RetentionCopyAndVerification_JournalsLeasesAndEpochs_AreLeftAloneAndNotComplainedOf()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        await Core.Tests.Retention.RetentionWorld.WriteAsync(repository, "config", null, 1);
        string id = await BeginAsync(repository);
        FencingEpoch epoch = await new FencingEpochs(repository, Site).AdvanceAsync(0, "west", null, CancellationToken.None);
        await using SiteLease lease = await SiteLease.TakeAsync(
            repository, Site, Operation, null, Lease, NullObserver.Instance, CancellationToken.None);
        static bool IsOurs(string key) => key.StartsWith("journal/", StringComparison.Ordinal) || key.StartsWith("leases/", StringComparison.Ordinal) ||
            key.StartsWith("fencing/", StringComparison.Ordinal);
        string[] before = [.. store.Keys.Where(IsOurs)];
        Assert.True(before.Length >= 5);

        RecordingObserver observer = new();
        await foreach (BackupTestResult result in new BackupVerification(
            repository, new BackupVerificationOptions { Deep = true }, observer).RunAsync(CancellationToken.None))
        {
            Assert.Equal("Passed", result.Outcome);
        }

        IReadOnlyList<RetentionResult> retained = await Core.Tests.Retention.RetentionWorld.RunAsync(store, new RetentionPolicy { Last = 1 });
        Assert.All(retained, static result => Assert.Equal("Backup", result.Kind));
        MemoryObjectStore destination = new();
        List<BackupCopyResult> copies = await CopyLab.CopyAllAsync(store, destination, observer);
        Assert.All(copies, static copy => Assert.Equal("Complete", copy.State));
        Assert.Empty(observer.Warnings);
        Assert.Equal(before, store.Keys.Where(IsOurs));
        Assert.DoesNotContain(destination.Keys, static key => key.StartsWith("journal/", StringComparison.Ordinal) ||
            key.StartsWith("leases/", StringComparison.Ordinal));

        // Who restores from the copy, and makes it the repository, must still keep out who was kept out.
        Repository copy = await Repository.OpenAsync(destination, CancellationToken.None);
        Assert.Equal(epoch, await new FencingEpochs(copy, Site).ReadAsync(CancellationToken.None));
        Assert.Equal("Running", (await PlanJournals.GetAsync(repository, Site, id, CancellationToken.None)).State);
    }

    /// <summary>A plan of two steps of which one is done.</summary>
    private static async Task<string> BeginAsync(Repository repository)
    {
        (_, Exception? failure) = await CollectAsync(NewRun(
            repository,
            [new ScriptedStep("first"), new ScriptedStep("second", "first") { Act = static (_, _) => FailAsync() }]).RunAsync(CancellationToken.None));
        Assert.NotNull(failure);
        string[] ids = [.. await PlanJournal.ListIdsAsync(repository, Site, CancellationToken.None)];
        return Assert.Single(ids);
    }

    private static async Task GiveUpAsync(Repository repository)
    {
        ScriptedStep step = new("new");
        PlanOptions options = new() { Lease = Lease };
        (_, Exception? failure) = await CollectAsync(NewRun(repository, [step], options).RunAsync(CancellationToken.None));
        Assert.NotNull(failure);
        Assert.Equal(0, step.Acts);
        (_, failure) = await CollectAsync(NewRun(repository, [step], options with { AbandonOthers = true }).RunAsync(CancellationToken.None));
        Assert.Null(failure);
        Assert.Equal(1, step.Acts);
    }
}
