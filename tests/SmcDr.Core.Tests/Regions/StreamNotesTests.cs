using SmcDr.Core.Regions;

namespace SmcDr.Core.Tests.Regions;

/// <summary>What a standby's restore_command remembers between its runs.</summary>
public sealed class StreamNotesTests : IDisposable
{
    private const string Segment = "000000010000000000000005";
    private static readonly DateTimeOffset s_now = new(2026, 11, 5, 10, 0, 0, TimeSpan.Zero);
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("smcdr-test-notes-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void WasLeft_AskedForAgain_IsToldUntilTheTimeIsOver()
    {
        Assert.False(Read().WasLeft(Segment, s_now));
        Assert.True(Read().TryLeave(Segment, s_now));
        Assert.True(Read().TryLeave("000000010000000000000006", s_now.AddSeconds(5)));

        Assert.True(Read().WasLeft(Segment, s_now.AddSeconds(10)));
        Assert.True(Read().WasLeft("000000010000000000000006", s_now.AddSeconds(10)));
        // Another timeline's file of the same WAL is another file.
        Assert.False(Read().WasLeft("000000020000000000000005", s_now.AddSeconds(10)));
        Assert.False(Read().WasLeft(Segment, s_now.AddMinutes(2)));
    }

    [Fact]
    public void WasLeft_SeveralTimes_IsCounted()
    {
        Assert.True(Read().TryLeave(Segment, s_now));
        Assert.False(Read().WasLeft(Segment, s_now.AddSeconds(1), 2));
        Assert.True(Read().TryLeave(Segment, s_now.AddSeconds(1)));

        Assert.True(Read().WasLeft(Segment, s_now.AddSeconds(2), 2));
        Assert.False(Read().WasLeft(Segment, s_now.AddSeconds(2), 3));
        // After a while it begins anew.
        Assert.True(Read().TryLeave(Segment, s_now.AddMinutes(10)));
        Assert.False(Read().WasLeft(Segment, s_now.AddMinutes(10), 2));
    }

    [Fact]
    public void KeepQuiet_IsForgottenWhenTheTimeIsOver()
    {
        Assert.False(Read().IsQuiet(s_now));

        Read().KeepQuiet(s_now, TimeSpan.FromSeconds(10));
        Assert.True(Read().TryLeave(Segment, s_now.AddSeconds(1)));

        Assert.True(Read().IsQuiet(s_now.AddSeconds(9)));
        Assert.False(Read().IsQuiet(s_now.AddSeconds(10)));
        Assert.True(Read().WasLeft(Segment, s_now.AddSeconds(9)));
    }

    /// <summary>What a clock that was ahead has noted must not keep the standby from its stream until that time has come.</summary>
    [Fact]
    public void IsQuiet_ClockThatWasSetBack_IsNotBelieved()
    {
        Read().KeepQuiet(s_now.AddHours(3), StreamNotes.LongestQuiet);
        Assert.True(Read().TryLeave(Segment, s_now.AddHours(3)));

        Assert.True(Read().IsQuiet(s_now.AddHours(3)));
        Assert.False(Read().IsQuiet(s_now));
        Assert.False(Read().WasLeft(Segment, s_now));
        // It is quiet again where there is reason to be, and for no longer than that.
        Read().KeepQuiet(s_now, TimeSpan.FromSeconds(10));
        Assert.True(Read().IsQuiet(s_now));
        Assert.False(Read().IsQuiet(s_now.AddHours(3)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\0\0\0")]
    [InlineData("quiet 99999999999999999999\nquiet\nquiet x\n")]
    [InlineData("quiet 9223372036854775807\n")]
    [InlineData("../../etc/passwd 1\n000000010000000000000005 -1\n")]
    public void Read_WhatNobodyOfUsHasWritten_CountsForNothing(string content)
    {
        File.WriteAllText(Path.Combine(_directory.FullName, StreamNotes.FileName), content);

        Assert.False(Read().IsQuiet(s_now));
        Assert.False(Read().WasLeft(Segment, s_now));
        Assert.True(Read().TryLeave(Segment, s_now));
        Assert.True(Read().WasLeft(Segment, s_now));
    }

    [Fact]
    public void TryLeave_WhereNothingCanBeNoted_SaysSo() =>
        Assert.False(StreamNotes.Read(Path.Combine(_directory.FullName, "nothing")).TryLeave(Segment, s_now));

    [Fact]
    public void TryLeave_ManySegments_TheFileStaysSmall()
    {
        for (int i = 0; i < 1000; i++)
        {
            Assert.True(Read().TryLeave($"00000001{0:X8}{i:X8}", s_now.AddMilliseconds(i)));
        }

        Assert.InRange(File.ReadAllLines(Path.Combine(_directory.FullName, StreamNotes.FileName)).Length, 2, 64);
        Assert.True(Read().WasLeft($"00000001{0:X8}{999:X8}", s_now.AddSeconds(2)));
    }

    private StreamNotes Read() => StreamNotes.Read(_directory.FullName);
}
