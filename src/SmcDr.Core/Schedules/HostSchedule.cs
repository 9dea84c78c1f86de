using SmcDr.Core.Platform;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>What a schedule on this host runs.</summary>
/// <param name="Site">The site.</param>
/// <param name="Program">The full path of <c>smcdr</c>.</param>
/// <param name="EnvironmentFile">The file with the environment variables that the site's secrets are in.</param>
internal sealed record HostSchedule(Site Site, string Program, string EnvironmentFile)
{
    /// <summary>What is found on this host where the options say nothing.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>: there is no <c>smcdr</c>.</exception>
    public static HostSchedule Find(Site site, ScheduleOptions options)
    {
        SiteSecrets.RefuseVaults(site);
        return new HostSchedule(
            site,
            options.Program ?? FindProgram(),
            options.EnvironmentFile ?? (Environment.UserName == "root" ? $"/etc/smcdr/{site.Name}.env" : PathText.Resolve($"~/.config/smcdr/{site.Name}.env")));
    }

    /// <summary>The program and its arguments.</summary>
    public IReadOnlyList<string> Command(string task) => [Program, "--site", Site.Path, "schedule", "run", task];

    /// <summary>Writes a file, which is replaced as a whole.</summary>
    public static async Task WriteFileAsync(string path, string text, CancellationToken cancellationToken)
    {
        try
        {
            await WholeFile.WriteAsync(path, text, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unwritable(Path.GetDirectoryName(path)!, e);
        }
    }

    /// <summary>The failure of writing to a directory.</summary>
    public static SmcException Unwritable(string directory, Exception e) => new(
        SmcErrorCode.TargetUnsuitable, $"'{directory}' cannot be written: {e.Message}", e, recommendation: "Name a directory that this account may write to.", target: directory);

    private static string FindProgram()
    {
        string[] candidates =
        [
            .. new[] { Environment.ProcessPath }.OfType<string>().Where(static path => Path.GetFileNameWithoutExtension(path) == "smcdr"),
            .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
                .Select(static folder => Path.Combine(folder, OperatingSystem.IsWindows() ? "smcdr.exe" : "smcdr")),
        ];
        return candidates.FirstOrDefault(File.Exists) is { } found
            ? Path.GetFullPath(found)
            : throw new SmcException(
                SmcErrorCode.ProgramNotFound,
                "The program 'smcdr', which schedules on this host run, is not on the search path.",
                recommendation: "Install it, or name it by -Program (--program).",
                target: "smcdr");
    }
}
