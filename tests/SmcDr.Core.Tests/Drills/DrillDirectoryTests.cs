using System.Diagnostics;
using SmcDr.Core.Drills;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Tests.Drills;

public sealed class DrillDirectoryTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-dir-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void RequireReachable_ClosedToTheServersAccount_NamesTheDirectory()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        OsAccount account = new("nobody-of-the-test", 54_321, 54_321);
        string inner = Directory.CreateDirectory(Path.Combine(_directory, "not", "yet")).FullName;
        Directory.Delete(inner);

        SmcException error = Assert.Throws<SmcException>(() => DrillDirectory.RequireReachable(inner, account));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, error.Code);
        Assert.Equal(_directory, error.Target);

        File.SetUnixFileMode(_directory, File.GetUnixFileMode(_directory) | UnixFileMode.OtherExecute);
        DrillDirectory.RequireReachable(inner, account);
    }

    [Fact]
    public void RequireSpace_MoreThanAnyDiskHas_SaysHowMuchIsNeeded()
    {
        SmcException error = Assert.Throws<SmcException>(() =>
            DrillDirectory.RequireSpace(Path.Combine(_directory, "not", "there"), 1L << 59));

        Assert.Equal(SmcErrorCode.DiskSpaceInsufficient, error.Code);
        DrillDirectory.RequireSpace(_directory, 1);
    }

    [Fact]
    public async Task ProcessesIn_ProcessWhoseDirectoryWasRemoved_IsStillSeen()
    {
        string work = Path.Combine(_directory, "work");
        Directory.CreateDirectory(work);
        using Process process = Process.Start(new ProcessStartInfo("sleep", "60") { WorkingDirectory = work })!;
        try
        {
            Directory.Delete(work);

            Assert.Equal([process.Id], DrillDirectory.ProcessesIn(_directory));
            Assert.Empty(DrillDirectory.ProcessesIn(_directory + "-other"));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }
}
