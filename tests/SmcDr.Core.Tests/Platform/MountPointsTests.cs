using SmcDr.Core.Platform;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Platform;

public sealed class MountPointsTests
{
    private static readonly string[] s_table =
    [
        "# <file system> <mount point> <type> <options> <dump> <pass>",
        "",
        "UUID=1234 / ext4 errors=remount-ro 0 1",
        "UUID=5678 none swap sw 0 0",
        "nas:/backups\t/srv/backups  nfs4\trw 0 0",
        "  nas:/more /srv/with\\040space/ nfs4 rw 0 0",
        "#nas:/old /srv/old nfs4 rw 0 0",
        "UUID=9 /srv/backups/disk ext4 rw 0 2",
        "cut",
    ];

    private static readonly string[] s_mounted =
    [
        "29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
        "30 29 0:5 / /srv/with\\040space rw - nfs4 nas:/more rw",
    ];

    [Theory]
    [InlineData("/srv/backups", "/srv/backups")]
    [InlineData("/srv/backups/site", "/srv/backups")]
    [InlineData("/srv/backups/disk/site", "/srv/backups/disk")]
    [InlineData("/srv/backups-of-others", null)]
    [InlineData("/srv/with space/site", null)]
    [InlineData("/srv/old/site", null)]
    [InlineData("/var/lib/none", null)]
    public void FindMissing_AnyPath_IsTheDeepestThatIsNotMounted(string path, string? expected) =>
        Assert.Equal(expected, MountPoints.FindMissing(path, s_table, s_mounted));

    [LinuxFact]
    public void FindMissing_TableAndMountsOfThisHost_FindNothingMissingAtTheRoot() => Assert.NotEqual("/", MountPoints.FindMissing("/srv"));

    [RootFact]
    public void FindMissing_RealMountAndUnmount_IsSeen()
    {
        string path;
        string[] table;
        using (SmallFileSystem disk = new())
        {
            path = disk.Path;
            table = [$"tmpfs {path} tmpfs rw 0 0"];
            Assert.Null(MountPoints.FindMissing(Path.Combine(path, "repository"), table, File.ReadLines("/proc/self/mountinfo")));
        }

        Assert.Equal(path, MountPoints.FindMissing(Path.Combine(path, "repository"), table, File.ReadLines("/proc/self/mountinfo")));
    }
}
