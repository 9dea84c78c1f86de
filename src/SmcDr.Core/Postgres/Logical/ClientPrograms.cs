using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>PostgreSQL's client programs on this host: pg_dump, pg_dumpall, pg_restore and psql of one version.</summary>
internal sealed partial class ClientPrograms
{
    private static readonly string[] s_needed = ["pg_dump", "pg_dumpall", "pg_restore", "psql"];
    private static readonly Dictionary<string, string> s_noVariables = [];

    private ClientPrograms(string directory, string version)
    {
        Directory = directory;
        Version = version;
        Major = int.Parse(MajorPattern().Match(version).Value, CultureInfo.InvariantCulture);
    }

    public string Directory { get; }

    /// <summary>As the programs state it, such as <c>15.8</c>.</summary>
    public string Version { get; }

    public int Major { get; }

    /// <summary>
    /// Finds programs that are not older than what they are to work with: of the same major version where there are such, else of the
    /// nearest newer one.
    /// </summary>
    /// <param name="directory">Where to look; null = everywhere.</param>
    /// <param name="major">The oldest major version that will do.</param>
    /// <param name="what">What has that version, such as <c>The server at db:5432</c>, for the message.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/> or <see cref="SmcErrorCode.VersionUnsupported"/>.</exception>
    public static async Task<ClientPrograms> FindAsync(string? directory, int major, string what, CancellationToken cancellationToken)
    {
        List<ClientPrograms> found = [];
        IReadOnlyList<string> candidates = directory is null ? await CandidatesAsync(cancellationToken).ConfigureAwait(false) : [directory];
        foreach (string candidate in candidates.Distinct(StringComparer.Ordinal))
        {
            if (await TryOpenAsync(candidate, isGiven: directory is not null, cancellationToken).ConfigureAwait(false) is { } programs)
            {
                found.Add(programs);
                if (programs.Major == major)
                {
                    return programs;
                }
            }
        }

        if (found.Where(programs => programs.Major > major).MinBy(static programs => programs.Major) is { } newer)
        {
            return newer;
        }

        string where = directory is null ? "on this host" : $"in '{directory}'";
        string recommendation = string.Create(
            CultureInfo.InvariantCulture,
            $"Install PostgreSQL's client programs of version {major} or newer (Debian: postgresql-client-{major}), or name their directory by binDirectory in the site file.");
        throw found.MaxBy(static programs => programs.Major) is { } old
            ? new SmcException(
                SmcErrorCode.VersionUnsupported,
                string.Create(CultureInfo.InvariantCulture, $"{what} is of PostgreSQL {major}, and pg_dump and its companions {where} are of version {old.Version}: older ones cannot work with it."),
                recommendation: recommendation,
                target: old.Directory)
            : new SmcException(
                SmcErrorCode.ProgramNotFound, $"PostgreSQL's client programs {string.Join(", ", s_needed)} were not found {where}.", recommendation: recommendation);
    }

    /// <summary>The full path of a program.</summary>
    public string PathOf(string program) => FullPath(Directory, program);

    private static string FullPath(string directory, string program) =>
        Path.Combine(directory, OperatingSystem.IsWindows() ? program + ".exe" : program);

    private static async Task<ClientPrograms?> TryOpenAsync(string directory, bool isGiven, CancellationToken cancellationToken)
    {
        string full = Path.GetFullPath(directory);
        if (!s_needed.All(program => File.Exists(FullPath(full, program))) ||
            // Debian's wrapper chooses a version by itself; the programs behind it are found where they are.
            (!isGiven && Path.GetFileName(File.ResolveLinkTarget(FullPath(full, s_needed[0]), returnFinalTarget: true)?.FullName) == "pg_wrapper"))
        {
            return null;
        }

        (_, string output, _) = await ClientProcess
            .RunAsync(FullPath(full, s_needed[0]), ["--version"], s_noVariables, cancellationToken).ConfigureAwait(false);
        Match version = VersionPattern().Match(output);
        return version.Success ? new ClientPrograms(full, version.Groups[1].Value) : null;
    }

    private static async Task<IReadOnlyList<string>> CandidatesAsync(CancellationToken cancellationToken)
    {
        List<string> candidates = [];
        string[] path = (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (path.Select(static directory => FullPath(directory, "pg_config")).FirstOrDefault(File.Exists) is { } configuration)
        {
            (int exitCode, string output, _) = await ClientProcess
                .RunAsync(configuration, ["--bindir"], s_noVariables, cancellationToken).ConfigureAwait(false);
            if (exitCode == 0 && output.Trim() is { Length: > 0 } directory)
            {
                candidates.Add(directory);
            }
        }

        candidates.AddRange(path);
        foreach ((string root, string prefix) in new[] { ("/usr/lib/postgresql", ""), ("/usr", "pgsql-") })
        {
            if (System.IO.Directory.Exists(root))
            {
                candidates.AddRange(System.IO.Directory.GetDirectories(root, prefix + "*").Select(static directory => Path.Combine(directory, "bin")));
            }
        }

        return candidates;
    }

    [GeneratedRegex(@"\(PostgreSQL\)\s+([0-9]+[0-9A-Za-z.]*)", RegexOptions.CultureInvariant)]
    private static partial Regex VersionPattern();

    [GeneratedRegex(@"\A[0-9]+", RegexOptions.CultureInvariant)]
    private static partial Regex MajorPattern();
}
