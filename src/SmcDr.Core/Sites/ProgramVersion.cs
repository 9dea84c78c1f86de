using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Sites;

/// <summary>The version that one of PostgreSQL's programs tells of itself.</summary>
internal static partial class ProgramVersion
{
    /// <summary>The major version.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>: it does not run or says something else.</exception>
    public static async Task<int> ReadMajorAsync(string program, CancellationToken cancellationToken)
    {
        // postgres answers --version before it refuses root (main.c), so that no other account is needed.
        ProcessStartInfo start = new(program, ["--version"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            try
            {
                Task<string> error = process.StandardError.ReadToEndAsync(cancellationToken);
                string output = await process.StandardOutput.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
                _ = await error.ConfigureAwait(false);
                await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
                Match match = VersionRegex().Match(output);
                return process.ExitCode == 0 && match.Success
                    ? int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
                    : throw new SmcException(
                        SmcErrorCode.ProgramNotFound, $"'{program} --version' does not tell a version of PostgreSQL.", target: program);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                throw;
            }
        }
        catch (Win32Exception e)
        {
            throw new SmcException(SmcErrorCode.ProgramNotFound, $"'{program}' does not start: {e.Message}.", e, target: program);
        }
    }

    [GeneratedRegex(@"\(PostgreSQL\) ([0-9]{1,3})", RegexOptions.CultureInvariant)]
    private static partial Regex VersionRegex();
}
