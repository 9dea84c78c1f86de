using System.Diagnostics;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>Where moto is on this machine; tests/tools/install-moto.sh brings it to the same places.</summary>
internal static class MotoInstallation
{
    private static readonly Lazy<ProcessStartInfo?> s_python = new(Find);

    /// <summary>Why tests that need moto are skipped, or null where it is there.</summary>
    public static string? SkipReason => s_python.Value is null
        ? "moto, the S3 server of the tests, is not on this machine: run tests/tools/install-moto.sh."
        : null;

    /// <summary>How Python is started so that it finds moto; arguments are still to be added.</summary>
    public static ProcessStartInfo CreateStartInfo()
    {
        ProcessStartInfo found = s_python.Value ?? throw new InvalidOperationException(SkipReason);
        ProcessStartInfo info = new(found.FileName)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        info.Environment["PYTHONPATH"] = found.Environment["PYTHONPATH"];
        return info;
    }

    private static ProcessStartInfo? Find()
    {
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } set ? set : Path.Combine(home, ".cache");
        string?[] folders =
        [
            Environment.GetEnvironmentVariable("SMCDR_TOOLS"),
            "/usr/local/lib/smcdr-tools",
            Path.Combine(cache, "smcdr-tools"),
        ];
        const string python = "/usr/bin/python3";
        if (!File.Exists(python))
        {
            return null;
        }

        foreach (string path in folders
            .Where(static folder => !string.IsNullOrEmpty(folder))
            .Select(static folder => Path.Combine(folder!, "moto"))
            .Where(Directory.Exists)
            .Append(""))
        {
            ProcessStartInfo info = new(python, ["-c", "import moto.server"]) { RedirectStandardError = true };
            info.Environment["PYTHONPATH"] = path;
            using Process process = Process.Start(info)!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode == 0)
            {
                return info;
            }
        }

        return null;
    }
}
