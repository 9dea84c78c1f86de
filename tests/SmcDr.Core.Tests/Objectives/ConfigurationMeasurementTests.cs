using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Objectives;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Objectives;

public sealed class ConfigurationMeasurementTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task NoteAsync_WholeRestore_IsWhatLaterOnesArePredictedBy()
    {
        Repository repository = await OpenAsync();

        await NoteAsync(repository, new ConfigurationRestoreOptions(), Tally(("Create", 18), ("Change", 1), ("Same", 1)));
        RecoveryMeasurement measured = Assert.Single(await RecoveryMeasurements.ListAsync(repository, "orders", Component.Configuration, [], default));

        Assert.Equal(("20261129T000000Z-full", 12.5, 4096L), (measured.BackupId, measured.Seconds, measured.SizeBytes));
        Assert.Equal("Cluster", measured.Way);
    }

    [Theory]
    [InlineData(false, false, "Create", "Same")]
    [InlineData(false, false, "Create", "Failed")]
    [InlineData(false, false, "Same", "Same")]
    [InlineData(true, false, "Create", "Create")]
    [InlineData(false, true, "Create", "Create")]
    public async Task NoteAsync_OfAPartAPlanOrWhatWasThere_IsNotNoted(bool isPlan, bool isPart, string first, string second)
    {
        Repository repository = await OpenAsync();
        ConfigurationRestoreOptions options = new() { DryRun = isPlan, Filter = new ObjectFilter { Kinds = isPart ? ["secrets"] : [] } };

        await NoteAsync(repository, options, Tally((first, 2), (second, 2)));

        Assert.Empty(await RecoveryMeasurements.ListAsync(repository, "orders", Component.Configuration, [], default));
    }

    private static ConfigurationTally Tally(params (string Action, int Count)[] counts)
    {
        ConfigurationTally tally = new();
        foreach ((string action, int count) in counts)
        {
            for (int i = 0; i < count; i++)
            {
                tally.Add(new ConfigurationRestoreResult
                {
                    BackupId = "20261129T000000Z-full",
                    Kind = "ConfigMap",
                    ApiVersion = "v1",
                    Name = $"{action}-{i}",
                    Action = action == "Failed" ? "Restore" : action,
                    State = action == "Failed" ? "Failed" : "Done",
                });
            }
        }

        return tally;
    }

    private static Task NoteAsync(Repository repository, ConfigurationRestoreOptions options, ConfigurationTally tally) => repository.NoteAsync(
        "orders",
        new BackupHeader
        {
            Id = "20261129T000000Z-full",
            RepositoryId = repository.Id,
            Component = Component.Configuration,
            Kind = "Full",
            StartTime = DateTimeOffset.UnixEpoch,
            SizeBytes = 4096,
        },
        options,
        tally,
        DateTimeOffset.UtcNow,
        TimeSpan.FromSeconds(12.5),
        new RecordingObserver(),
        default);

    private Task<Repository> OpenAsync() => Repository.OpenOrCreateAsync(ObjectStoreFactory.Open(_directory.Path), null, default);
}
