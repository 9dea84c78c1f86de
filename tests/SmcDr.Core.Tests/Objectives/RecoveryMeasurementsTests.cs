using SmcDr.Core.Objectives;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Objectives;

public sealed class RecoveryMeasurementsTests
{
    [Fact]
    public async Task ListAsync_ManyTestsOnAHost_DoNotHideTheRestoreInThePod()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default);
        DateTimeOffset start = new(2026, 11, 1, 3, 0, 0, TimeSpan.Zero);
        for (int day = 0; day < 10; day++)
        {
            RecoveryResult result = new()
            {
                BackupId = "20261101T000000Z-full",
                TargetKind = "Latest",
                DataDirectory = "/srv/data",
                RestoredBytes = 1 << 20,
                WalBytes = 0,
                StartTime = start.AddDays(day),
                Duration = TimeSpan.FromSeconds(30),
                RestoreSeconds = 20,
                ReplaySeconds = 5,
                Workload = day == 0 ? "statefulset/db" : null,
            };
            await repository.NoteAsync("orders", result, new RecordingObserver(), default);
        }

        IReadOnlyList<RecoveryMeasurement> measured =
            await RecoveryMeasurements.ListAsync(repository, "orders", Component.Database, [], default);

        Assert.Equal(10, measured.Count);
        Assert.Equal(("Pod", start), (measured[^1].Way, measured[^1].StartTime));
    }
}
