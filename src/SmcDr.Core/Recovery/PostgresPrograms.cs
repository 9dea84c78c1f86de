using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Recovery;

/// <summary>PostgreSQL's server programs on this host: where they are, of which version, and how they are run.</summary>
public sealed partial class PostgresPrograms
{
    private static readonly TimeSpan s_shortLimit = TimeSpan.FromSeconds(30);

    private PostgresPrograms(string binDirectory, string version)
    {
        BinDirectory = binDirectory;
        Version = version;
        Major = int.Parse(MajorPattern().Match(version).Value, CultureInfo.InvariantCulture);
    }

    /// <summary>The directory of <c>postgres</c>, <c>pg_ctl</c> and the others.</summary>
    public string BinDirectory { get; }

    /// <summary>The version as the server states it, such as <c>15.8</c> or <c>18beta1</c>.</summary>
    public string Version { get; }

    /// <summary>The major version, such as 15. Only programs of the same one can open a data directory.</summary>
    public int Major { get; }

    /// <summary>
    /// Finds the programs: in the directory that is given, else where <c>pg_config</c> says, else on the search path, else in
    /// Debian's and Red Hat's places, newest first.
    /// </summary>
    /// <param name="binDirectory">The directory to use; null = look for one.</param>
    /// <param name="major">The major version that is needed; null = the newest.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>.</exception>
    public static async Task<PostgresPrograms> FindAsync(string? binDirectory, int? major, CancellationToken cancellationToken)
    {
        if (binDirectory is not null)
        {
            PostgresPrograms given = await TryOpenAsync(binDirectory, cancellationToken).ConfigureAwait(false)
                ?? throw Missing($"The directory '{binDirectory}' does not hold PostgreSQL's programs 'postgres' and 'pg_ctl'.", binDirectory);
            return major is null || given.Major == major
                ? given
                : throw Missing($"PostgreSQL {major} is needed, and '{binDirectory}' holds version {given.Version}.", binDirectory);
        }

        List<string> seen = [];
        await foreach (string candidate in CandidatesAsync(cancellationToken).ConfigureAwait(false))
        {
            if (!seen.Contains(candidate) &&
                await TryOpenAsync(candidate, cancellationToken).ConfigureAwait(false) is { } found)
            {
                seen.Add(candidate);
                if (major is null || found.Major == major)
                {
                    return found;
                }
            }
        }

        throw Missing(
            major is null
                ? "PostgreSQL's server programs were not found on this host."
                : $"PostgreSQL {major}'s server programs were not found on this host" +
                  (seen.Count > 0 ? $"; there are others in {string.Join(", ", seen)}." : "."),
            null);
    }

    /// <summary>The full path of a program.</summary>
    public string PathOf(string program) =>
        Path.Combine(BinDirectory, OperatingSystem.IsWindows() ? program + ".exe" : program);

    /// <summary>Whether a program is there: <c>pg_amcheck</c> and others come with a package that may be missing.</summary>
    public bool Has(string program) => File.Exists(PathOf(program));

    /// <summary>Runs one of the programs to its end; arguments go to it as they are, through no shell.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.ProgramNotFound"/>, or <see cref="SmcErrorCode.OperationTimedOut"/>. An exit code other than 0 is no exception.
    /// </exception>
    public Task<ProgramResult> RunAsync(
        string program, IReadOnlyList<string> arguments, ProgramOptions? options, CancellationToken cancellationToken)
    {
        string path = PathOf(program);
        return File.Exists(path)
            ? HostProgram.RunAsync(path, arguments, options ?? new ProgramOptions(), cancellationToken)
            : throw Missing($"The program '{program}' is missing from '{BinDirectory}'.", path);
    }

    private static async Task<PostgresPrograms?> TryOpenAsync(string directory, CancellationToken cancellationToken)
    {
        string full = Path.GetFullPath(directory);
        string extension = OperatingSystem.IsWindows() ? ".exe" : "";
        string server = Path.Combine(full, "postgres" + extension);
        if (!File.Exists(server) || !File.Exists(Path.Combine(full, "pg_ctl" + extension)))
        {
            return null;
        }

        ProgramResult result = await HostProgram.RunAsync(
            server, ["--version"], new ProgramOptions { TimeLimit = s_shortLimit }, cancellationToken).ConfigureAwait(false);
        Match version = VersionPattern().Match(result.Output);
        return result.ExitCode == 0 && version.Success
            ? new PostgresPrograms(full, version.Groups[1].Value)
            : throw Missing($"'{server} --version' does not answer with PostgreSQL's version: {result.Tail}.", server);
    }

    private static async IAsyncEnumerable<string> CandidatesAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string[] path = (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        string configuration = OperatingSystem.IsWindows() ? "pg_config.exe" : "pg_config";
        foreach (string directory in path)
        {
            string program = Path.Combine(directory, configuration);
            if (File.Exists(program))
            {
                ProgramResult result = await HostProgram.RunAsync(
                    program, ["--bindir"], new ProgramOptions { TimeLimit = s_shortLimit }, cancellationToken).ConfigureAwait(false);
                if (result.ExitCode == 0 && result.Output.Trim() is { Length: > 0 } answer)
                {
                    yield return answer;
                }
            }
        }

        foreach (string directory in path)
        {
            yield return directory;
        }

        foreach ((string root, string prefix) in new[] { ("/usr/lib/postgresql", ""), ("/usr", "pgsql-") })
        {
            if (Directory.Exists(root))
            {
                foreach (string directory in Directory.GetDirectories(root, prefix + "*")
                    .OrderByDescending(d => int.TryParse(
                        Path.GetFileName(d)[prefix.Length..], CultureInfo.InvariantCulture, out int major) ? major : 0))
                {
                    yield return Path.Combine(directory, "bin");
                }
            }
        }
    }

    private static SmcException Missing(string message, string? target) =>
        new(SmcErrorCode.ProgramNotFound, message, target: target);

    [GeneratedRegex(@"\(PostgreSQL\)\s+([0-9]+[0-9A-Za-z.]*)", RegexOptions.CultureInvariant)]
    private static partial Regex VersionPattern();

    [GeneratedRegex(@"\A[0-9]+", RegexOptions.CultureInvariant)]
    private static partial Regex MajorPattern();
}
