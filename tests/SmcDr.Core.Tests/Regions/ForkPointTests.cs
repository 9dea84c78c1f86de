using System.Text;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Regions.Failback;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Where the histories of two servers part.</summary>
public sealed class ForkPointTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("smcdr-test-fork-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    // The ordinary case: the one that leads has left the timeline of the other.
    [InlineData(1, "", 2, "1 0/5000000", "0/5000000")]
    [InlineData(3, "1 0/5000000|2 0/6000000", 4, "1 0/5000000|2 0/6000000|3 0/7000000", "0/7000000")]
    // Both have left the one that they have in common, the other earlier or later.
    [InlineData(2, "1 0/4000000", 3, "1 0/5000000", "0/4000000")]
    [InlineData(2, "1 0/6000000", 3, "1 0/5000000", "0/5000000")]
    // The other one has left the timeline that leads.
    [InlineData(3, "1 0/5000000|2 0/6000000", 2, "1 0/5000000", "0/6000000")]
    // Nobody has left anything.
    [InlineData(2, "1 0/5000000", 2, "1 0/5000000", null)]
    public async Task FindAsync_TwoHistories_PartWhereThePostgresWouldSaySo(uint own, string ownHistory, uint leads, string leadHistory, string? expected)
    {
        Directory.CreateDirectory(Path.Combine(_directory.FullName, "pg_wal"));
        if (ownHistory.Length > 0)
        {
            await File.WriteAllBytesAsync(Path.Combine(_directory.FullName, "pg_wal", TimelineHistory.FileName(own)), Lines(ownHistory));
        }

        FailbackFacts facts = await ForkPoint.FindAsync(
            _directory.FullName, own, TimelineHistory.Parse(leads, Lines(leadHistory)), default);

        Assert.Equal(expected, facts.Left?.ToString());
        Assert.Equal(own, facts.Lineage[0]);
        Assert.Equal(leads, facts.LeaderTimeline);
    }

    [Fact]
    public Task FindAsync_NothingInCommon_IsRefused() => SmcErrorCode.RegionUnsuitable.ThrowsAsync(() => ForkPoint.FindAsync(
        _directory.FullName, 7, TimelineHistory.Parse(3, Lines("1 0/5000000|2 0/6000000")), default));

    private static byte[] Lines(string history) => Encoding.UTF8.GetBytes(string.Concat(history.Split('|').Select(static line => line + "\tno reason\n")));
}
