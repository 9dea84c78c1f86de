using System.Globalization;
using SmcDr.Core.Certification;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Tests.Recovery;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Certification;

/// <summary>Tests of recovery at points that are drawn by chance.</summary>
public sealed class RandomRecoveryTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task RunAsync_Random_RecoversToAnInstantOfTheWindow(int seed)
    {
        RecoveryWindow? window = null;
        await foreach (RecoveryWindow one in WalWindows.ListAsync(world.Repository, default))
        {
            window = one;
        }

        string work = TestPrograms.CreateDirectory();
        try
        {
            RecoveryTestResult result = await RecoveryTest.RunAsync(
                new RecoveryTestOptions
                {
                    Repository = world.Repository,
                    Site = "world",
                    IsRandom = true,
                    IsWhole = false,
                    WorkDirectory = work,
                    BinDirectory = TestPrograms.BinDirectory,
                    OsUser = TestPrograms.OsUser,
                    Checks = [new() { Query = "select count(*) from t", Expect = $">= {RecoveryWorld.RowsInBackup}" }],
                    Random = new Random(seed),
                },
                NullObserver.Instance,
                default);

            Assert.True(result.Outcome == "Passed", string.Join('\n', result.Checks.Select(static check => check.Message)));
            Assert.Equal("Time", result.TargetKind);
            DateTimeOffset target = DateTimeOffset.Parse(result.Target!, CultureInfo.InvariantCulture);
            Assert.InRange(target, window!.EarliestTime.AddTicks(-TimeSpan.TicksPerMicrosecond), window.LatestTime!.Value);
            Assert.True(result.RecoveredTime is null || result.RecoveredTime <= target);
            Assert.Empty(Directory.GetFileSystemEntries(work));
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }
}
