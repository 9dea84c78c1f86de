using SmcDr.Core.Drills;

namespace SmcDr.Core.Tests.Drills;

public sealed class ExposureMeterTests
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 5, 10, 0, 0, TimeSpan.Zero);
    private readonly ExposureMeter _meter = new();

    [Fact]
    public void Read_RepositoryBehind_IsTheAgeOfTheFirstReadingThatItLacks()
    {
        Assert.Equal(0, Read(0.0, server: 100, repository: 100));
        Assert.Equal(0, Read(0.1, server: 200, repository: 100));
        Assert.Equal(0.1, Read(0.2, server: 300, repository: 100), 6);
        Assert.Equal(0.1, Read(0.3, server: 400, repository: 200), 6);
        Assert.Equal(0, Read(0.4, server: 400, repository: 400));
    }

    [Fact]
    public void Read_ServerIdleAndRepositoryStuck_Grows()
    {
        Read(0, server: 200, repository: 100);

        Assert.Equal(5, Read(5, server: 200, repository: 100), 6);
        Assert.Equal(9, Read(9, server: 200, repository: 199), 6);
        Assert.Equal(0, Read(10, server: 200, repository: 200));
    }

    private double Read(double seconds, int server, int repository) =>
        _meter.Read(s_start.AddSeconds(seconds), new Lsn((ulong)server), new Lsn((ulong)repository)).TotalSeconds;
}
