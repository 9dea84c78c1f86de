using SmcDr.Core.Recovery;
using PostgresPrograms = SmcDr.Core.Recovery.PostgresPrograms;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

public sealed class PostgresProgramsTests
{
    [Fact]
    public async Task FindAsync_WithoutDirectory_FindsWhatTheHostHas()
    {
        PostgresPrograms programs = await PostgresPrograms.FindAsync(null, null, default);

        Assert.True(File.Exists(programs.PathOf("postgres")));
        Assert.InRange(programs.Major, 15, 99);
        Assert.StartsWith(programs.Major.ToString(System.Globalization.CultureInfo.InvariantCulture), programs.Version, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FindAsync_DirectoryWithoutPrograms_NamesTheDirectory()
    {
        DirectoryInfo empty = Directory.CreateTempSubdirectory("smcdr-test-");
        try
        {
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => PostgresPrograms.FindAsync(empty.FullName, null, default));
            Assert.Equal(SmcErrorCode.ProgramNotFound, e.Code);
            Assert.Contains(empty.FullName, e.Message, StringComparison.Ordinal);
        }
        finally
        {
            empty.Delete();
        }
    }

    [Fact]
    public async Task FindAsync_ForeignMajor_IsRefused()
    {
        SmcException given = await Assert.ThrowsAsync<SmcException>(
            () => PostgresPrograms.FindAsync(TestPrograms.BinDirectory, 9, default));
        SmcException searched = await Assert.ThrowsAsync<SmcException>(() => PostgresPrograms.FindAsync(null, 9, default));

        Assert.Equal(SmcErrorCode.ProgramNotFound, given.Code);
        Assert.Equal(SmcErrorCode.ProgramNotFound, searched.Code);
        Assert.Contains("PostgreSQL 9", searched.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_EnvironmentWithLibpqVariables_DoesNotReachTheProgram()
    {
        Environment.SetEnvironmentVariable("PGPORT", "1");
        try
        {
            ProgramResult result = await HostProgram.RunAsync("/usr/bin/env", [], new ProgramOptions(), default);

            Assert.DoesNotContain("PGPORT", result.Output, StringComparison.Ordinal);
            Assert.Contains("LC_ALL=C", result.Output, StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable("PGPORT", null);
        }
    }

    [Fact]
    public async Task RunAsync_Argument_ReachesTheProgramUnchanged()
    {
        const string Odd = "a b; $(touch /tmp/never) 'x' \"y\" *";

        ProgramResult result = await HostProgram.RunAsync("/bin/echo", [Odd], new ProgramOptions(), default);

        Assert.Equal(Odd + "\n", result.Output);
    }

    [Fact]
    public async Task RunAsync_TimeLimitExceeded_StopsTheProgram()
    {
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => HostProgram.RunAsync(
            "/bin/sleep", ["60"], new ProgramOptions { TimeLimit = TimeSpan.FromMilliseconds(100) }, default));

        Assert.Equal(SmcErrorCode.OperationTimedOut, e.Code);
    }

    [Fact]
    public async Task RunAsync_Cancelled_ThrowsAndStopsTheProgram()
    {
        using CancellationTokenSource source = new(TimeSpan.FromMilliseconds(100));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => HostProgram.RunAsync(
            "/bin/sleep", ["60"], new ProgramOptions(), source.Token));
    }
}
