using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class WalDelayTests
{
    private readonly ManualClock _clock = new();
    private readonly WalDelay _delay;

    public WalDelayTests() => _delay = new WalDelay(_clock);

    [Fact]
    public void Value_WalThatIsNotDurable_IsTheAgeOfTheOldest()
    {
        Assert.Equal(TimeSpan.Zero, _delay.Value);
        _delay.Known(new Lsn(100));
        Wait(3000);
        _delay.Known(new Lsn(200));
        Wait(2000);
        Assert.Equal(TimeSpan.FromSeconds(5), _delay.Value);
        _delay.Flushed(new Lsn(99));
        Assert.Equal(TimeSpan.FromSeconds(5), _delay.Value);
        _delay.Flushed(new Lsn(100));
        Wait(1000);
        Assert.Equal(TimeSpan.FromSeconds(3), _delay.Value);
    }

    [Fact]
    public void Value_RightAfterAFlush_IsWhatItHadGrownTo()
    {
        _delay.Known(new Lsn(100));
        Wait(600);
        _delay.Flushed(new Lsn(100));
        Assert.Equal(TimeSpan.FromMilliseconds(600), _delay.Value);
        Wait(300);
        _delay.Known(new Lsn(200));
        Wait(100);
        _delay.Flushed(new Lsn(200));
        // Not less, although the last took a tenth of a second only.
        Assert.Equal(TimeSpan.FromMilliseconds(600), _delay.Value);
        Wait(601);
        Assert.Equal(TimeSpan.Zero, _delay.Value);
    }

    [Fact]
    public void Value_WalThatIsOnTheServerOnly_CountsFromWhenItWasHeardOf()
    {
        _delay.Connected(new Lsn(1000));
        Wait(2000);
        _delay.Known(new Lsn(500));
        _delay.Flushed(new Lsn(999));
        Assert.Equal(TimeSpan.FromSeconds(2), _delay.Value);
        _delay.Flushed(new Lsn(1000));
        Wait(1000);
        Assert.Equal(TimeSpan.Zero, _delay.Value);
    }

    [Fact]
    public void Value_ServerIsNotHeard_CountsFromWhenItWasHeardLast()
    {
        _delay.Known(new Lsn(100));
        _delay.Flushed(new Lsn(100));
        Wait(1000);
        _delay.Disconnected();
        Wait(30_000);
        Assert.Equal(TimeSpan.FromSeconds(30), _delay.Value);
        // Had it written something, that may be as old.
        _delay.Connected(new Lsn(150));
        Wait(1000);
        Assert.Equal(TimeSpan.FromSeconds(31), _delay.Value);
        _delay.Flushed(new Lsn(150));
        Wait(1000);
        Assert.Equal(TimeSpan.Zero, _delay.Value);

        _delay.Disconnected();
        Wait(30_000);
        // It has not.
        _delay.Connected(new Lsn(150));
        Assert.Equal(TimeSpan.Zero, _delay.Value);
    }

    [Fact]
    public void Connected_ServerWithLessWal_IsNotHeldToTheOthersWal()
    {
        _delay.Known(new Lsn(1000));
        _delay.Flushed(new Lsn(400));
        Wait(5000);
        _delay.Connected(new Lsn(300));
        Assert.Equal(TimeSpan.Zero, _delay.Value);
        _delay.Known(new Lsn(350));
        Wait(1000);
        Assert.Equal(TimeSpan.FromSeconds(1), _delay.Value);
    }

    [Fact]
    public void Known_RepositoryIsAwayForADay_KeepsFewAndIsWrongByAHundredthAtMost()
    {
        for (int second = 0; second < 86_400; second++)
        {
            _delay.Known(new Lsn((ulong)second + 1));
            Wait(1000);
        }

        Assert.InRange(_delay.Count, 1, 2000);
        _delay.Flushed(new Lsn(43_200));
        Wait(1001);
        Assert.InRange(_delay.Value.TotalSeconds, 43_200, 43_200 * 1.02);
    }

    private void Wait(int milliseconds) => _clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
}
