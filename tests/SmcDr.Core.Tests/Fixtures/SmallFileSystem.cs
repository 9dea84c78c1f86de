using System.Diagnostics;
using System.Globalization;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A file system in memory, of two mebibytes where nothing else is said.</summary>
internal sealed class SmallFileSystem : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public SmallFileSystem(int mebibytes = 2)
    {
        Directory.CreateDirectory(Path);
        Run("mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={mebibytes}m,mode=700"), "smcdr-test", Path);
    }

    public string Path => System.IO.Path.Combine(_directory.Path, "mounted");

    public void Grow(int mebibytes) => Run("mount", "-o", string.Create(CultureInfo.InvariantCulture, $"remount,size={mebibytes}m"), Path);

    public void MakeReadOnly() => Run("mount", "-o", "remount,ro", Path);

    public void Dispose()
    {
        // Also where a process that is just being started still has a copy of an open file there.
        Run("umount", "--lazy", Path);
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
