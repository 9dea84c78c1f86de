using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Regions;

namespace SmcDr.Core.Tests.Regions;

/// <summary>What a standby's restore_command does before it starts a program, run by the shell of this host as PostgreSQL does.</summary>
public sealed class StandbyOwnWalTests : IDisposable
{
    private const int Size = 1 << 20;
    private const int Page = 8192;
    private const int Asked = 7;
    private const string Server = "pg_wal/RECOVERYXLOG";
    private static readonly WalSegmentName s_segment = WalSegmentName.Parse("000000020000000A0000001F");
    private static readonly long s_start = (long)s_segment.StartLsn(Size).Value;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("smcdr-test-own-");

    public StandbyOwnWalTests() => _directory.CreateSubdirectory("pg_wal");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void Guard_SegmentThatIsWhole_IsRefusedOnceAndThenAskedFor()
    {
        Write(s_segment, s_start, s_start + Size - Page);

        Assert.Equal(1, Run(s_segment.ToString()));
        Assert.Equal(Asked, Run(s_segment.ToString()));
        // Another one between makes no difference: a record may span both, and both are asked for again and again.
        WalSegmentName next = WalSegmentName.Parse("000000020000000A00000020");
        Write(next, s_start + Size, s_start + (2 * Size) - Page);
        Assert.Equal(1, Run(next.ToString()));
        Assert.Equal(Asked, Run(s_segment.ToString()));
        Assert.Equal(Asked, Run(next.ToString()));
    }

    [Fact]
    public void Guard_SegmentThatWaitsToBeUsedAgain_IsAskedFor()
    {
        Write(s_segment, s_start - (4 * Size), s_start - (3 * Size) - Page);

        Assert.Equal(Asked, Run(s_segment.ToString()));
    }

    [Fact]
    public void Guard_SegmentThatIsFilledInPart_IsAskedFor()
    {
        Write(s_segment, s_start, s_start - (3 * Size) - Page);

        Assert.Equal(Asked, Run(s_segment.ToString()));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(9000)]
    public void Guard_FileThatIsNoSegment_IsAskedFor(int length)
    {
        File.WriteAllBytes(PathOf(s_segment.ToString()), new byte[length]);

        Assert.Equal(Asked, Run(s_segment.ToString()));
    }

    [Fact]
    public void Guard_OthersThanTheServer_AreGivenWhatTheyAskFor()
    {
        Write(s_segment, s_start, s_start + Size - Page);

        Assert.Equal(Asked, Run(s_segment.ToString(), "pg_wal/" + s_segment));
        Assert.Equal(Asked, Run("00000003.history", "pg_wal/RECOVERYHISTORY"));
        Assert.Equal(Asked, Run("000000020000000A00000021"));
    }

    [Fact]
    public void Guard_NothingCanBeNoted_IsAskedFor()
    {
        Write(s_segment, s_start, s_start + Size - Page);
        Directory.CreateDirectory(PathOf(StandbyOwnWal.FileName));

        Assert.Equal(Asked, Run(s_segment.ToString()));
        Assert.Equal(Asked, Run(s_segment.ToString()));
    }

    [Fact]
    public void Guard_ProgramsAreMissing_IsAskedFor()
    {
        Write(s_segment, s_start, s_start + Size - Page);
        File.WriteAllText(PathOf(StandbyOwnWal.FileName), "");

        Assert.Equal(Asked, Run(s_segment.ToString(), path: "/nonexistent"));
    }

    [Fact]
    public void Trim_NotesThatHaveGrown_AreForgotten()
    {
        string notes = PathOf(StandbyOwnWal.FileName);
        File.WriteAllText(notes, string.Concat(Enumerable.Repeat(s_segment + "\n", 1000)));
        StandbyOwnWal.Trim(Path.GetDirectoryName(notes)!);
        Assert.True(File.Exists(notes));

        File.AppendAllText(notes, string.Concat(Enumerable.Repeat(s_segment + "\n", 2000)));
        StandbyOwnWal.Trim(Path.GetDirectoryName(notes)!);
        Assert.False(File.Exists(notes));
        StandbyOwnWal.Trim(Path.GetDirectoryName(notes)!);
    }

    private string PathOf(string name) => Path.Combine(_directory.FullName, "pg_wal", name);

    /// <summary>Writes a segment with the addresses of its first and its last page.</summary>
    private void Write(WalSegmentName segment, long first, long last)
    {
        byte[] content = new byte[Size];
        BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(8), first);
        BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(Size - Page + 8), last);
        File.WriteAllBytes(PathOf(segment.ToString()), content);
    }

    /// <summary>Runs the guard as PostgreSQL does.</summary>
    /// <returns>1 where it refuses, and <see cref="Asked"/> where the program was started.</returns>
    private int Run(string name, string destination = Server, string? path = null)
    {
        string command = (StandbyOwnWal.Guard + string.Create(CultureInfo.InvariantCulture, $"exit {Asked}"))
            .Replace("%f", name, StringComparison.Ordinal).Replace("%p", destination, StringComparison.Ordinal).Replace("%%", "%", StringComparison.Ordinal);
        ProcessStartInfo start = new("/bin/sh", ["-c", command]) { WorkingDirectory = _directory.FullName, RedirectStandardError = true };
        if (path is not null)
        {
            start.Environment["PATH"] = path;
        }

        using Process process = Process.Start(start)!;
        Assert.Equal("", process.StandardError.ReadToEnd());
        process.WaitForExit();
        return process.ExitCode;
    }
}
