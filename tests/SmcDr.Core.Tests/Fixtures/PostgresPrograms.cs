using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>
/// PostgreSQL's programs on this machine, and the account that they run as: <c>postgres</c> where the tests run as root
/// (the server refuses root), else the account of the tests.
/// </summary>
public static class PostgresPrograms
{
    private static readonly Lazy<string> s_binDirectory = new(FindBinDirectory);
    private static readonly Lazy<(uint User, uint Group)> s_account = new(static () =>
        (uint.Parse(Capture("id", "-u", "postgres"), CultureInfo.InvariantCulture),
         uint.Parse(Capture("id", "-g", "postgres"), CultureInfo.InvariantCulture)));

    /// <summary>The directory of <c>postgres</c>, <c>initdb</c> and <c>pg_ctl</c>. <c>SMCDR_TEST_PGBIN</c> overrides it.</summary>
    public static string BinDirectory => s_binDirectory.Value;

    /// <summary>The account to start PostgreSQL's programs as, or null for the present one.</summary>
    public static string? OsUser => Posix.IsRoot ? "postgres" : null;

    /// <summary>The full path of a program.</summary>
    public static string PathOf(string program) => Path.Combine(BinDirectory, program);

    /// <summary>A new, empty directory below the temporary directory, owned by <see cref="OsUser"/> and closed to others.</summary>
    public static string CreateDirectory()
    {
        string path = Directory.CreateTempSubdirectory("smcdr-test-pg-").FullName;
        GiveToServer(path);
        return path;
    }

    /// <summary>Gives a file or directory to the account that the server runs as.</summary>
    public static void GiveToServer(string path)
    {
        if (OsUser is not null)
        {
            Posix.SetOwner(path, s_account.Value.User, s_account.Value.Group);
        }
    }

    /// <summary>Runs one of PostgreSQL's programs as <see cref="OsUser"/> and returns what it wrote to standard output.</summary>
    /// <exception cref="InvalidOperationException">It ended with another code than 0; the message holds all it wrote.</exception>
    public static async Task<string> RunAsync(
        string program, IEnumerable<string> arguments, string? password = null, CancellationToken cancellationToken = default)
    {
        (int exitCode, string output, string error) = await TryRunAsync(program, arguments, password, cancellationToken);
        return exitCode == 0
            ? output
            : throw new InvalidOperationException($"{program} ended with {exitCode}:\n{output}\n{error}");
    }

    /// <summary>Runs one of PostgreSQL's programs as <see cref="OsUser"/>.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> TryRunAsync(
        string program, IEnumerable<string> arguments, string? password = null, CancellationToken cancellationToken = default)
    {
        ProcessStartInfo start = new(PathOf(program))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            // The present directory may be closed to the other account, and then initdb and pg_ctl refuse to start.
            WorkingDirectory = Path.GetPathRoot(BinDirectory)!,
        };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["LC_ALL"] = "C";
        foreach (string name in start.Environment.Keys.Where(static key => key.StartsWith("PG", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        if (password is not null)
        {
            start.Environment["PGPASSWORD"] = password;
        }

        if (OsUser is { } user)
        {
            start.UserName = user;
        }

        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        Task<string> error = process.StandardError.ReadToEndAsync(cancellationToken);
        try
        {
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    private static string FindBinDirectory()
    {
        List<string> candidates = [];
        if (Environment.GetEnvironmentVariable("SMCDR_TEST_PGBIN") is { Length: > 0 } configured)
        {
            candidates.Add(configured);
        }

        try
        {
            candidates.Add(Capture("pg_config", "--bindir"));
        }
        catch (Win32Exception)
        {
            // pg_config comes with the client's development files and need not be there.
        }

        if (Directory.Exists("/usr/lib/postgresql"))
        {
            candidates.AddRange(Directory.GetDirectories("/usr/lib/postgresql")
                .OrderByDescending(static path => int.TryParse(Path.GetFileName(path), CultureInfo.InvariantCulture, out int major) ? major : 0)
                .Select(static path => Path.Combine(path, "bin")));
        }

        return candidates.FirstOrDefault(static path => File.Exists(Path.Combine(path, "initdb")))
            ?? throw new InvalidOperationException(
                "PostgreSQL's server programs are not on this machine; './build.sh test' installs them, or set SMCDR_TEST_PGBIN to their directory.");
    }

    private static string Capture(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd().Trim();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} ended with {process.ExitCode}.");
    }
}
