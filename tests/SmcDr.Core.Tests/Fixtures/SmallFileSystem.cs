using System.Diagnostics;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A file system of two mebibytes in memory.</summary>
internal sealed class SmallFileSystem : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public SmallFileSystem()
    {
        Directory.CreateDirectory(Path);
        Run("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "smcdr-test", Path);
    }

    public string Path => System.IO.Path.Combine(_directory.Path, "mounted");

    public void MakeReadOnly() => Run("mount", "-o", "remount,ro", Path);

    public void Dispose()
    {
        Run("umount", Path);
        _directory.Dispose();
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
    }
}
