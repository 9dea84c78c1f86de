namespace SmcDr.Core.Postgres.Logical;

/// <summary>What a client program's failure means.</summary>
internal static class ClientFailure
{
    private const int MaximumLines = 3;

    /// <summary>
    /// The error for a program that failed. Of what it said only its own words are passed on: behind them stand commands and rows, which may
    /// hold what is secret.
    /// </summary>
    /// <param name="program">Such as <c>pg_dump</c>.</param>
    /// <param name="exitCode">How it ended.</param>
    /// <param name="error">What it wrote to standard error.</param>
    /// <param name="database">The database.</param>
    /// <param name="connector">The server.</param>
    /// <param name="otherwise">What it is where the words do not tell.</param>
    public static SmcException Translate(
        string program, int exitCode, string error, string database, PostgresConnector connector, SmcErrorCode otherwise)
    {
        string[] words = [.. error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(line => line.StartsWith(program + ":", StringComparison.Ordinal) && IsError(line))
            .Select(line => line[(program.Length + 1)..].Trim())
            .TakeLast(MaximumLines)];
        string text = words.Length > 0
            ? string.Join(" | ", words).TrimEnd('.')
            // 128 + the signal's number, as shells and .NET count.
            : exitCode > 128 ? FormattableString.Invariant($"it was ended by signal {exitCode - 128}")
            : FormattableString.Invariant($"it ended with {exitCode} and said nothing");
        SmcErrorCode code =
            Says("password authentication failed", "no password supplied", "no pg_hba.conf entry") ? SmcErrorCode.AuthenticationFailed
            // The second is what md.c says of a write that came to the end of the disk halfway through a block.
            : Says("No space left on device", "could not extend file", "Disk quota exceeded") ? SmcErrorCode.DiskSpaceInsufficient
            : Says("permission denied", "must be superuser", "must be owner", "must be able to SET ROLE", "must be member of role") ? SmcErrorCode.PrivilegeMissing
            : Says("server version mismatch") ? SmcErrorCode.VersionUnsupported
            : Says("connection to server", "server closed the connection", "terminating connection", "the database system is") ? SmcErrorCode.ServerUnavailable
            : otherwise;
        return new SmcException(
            code,
            $"{program} failed with the database '{database}' at {connector.Display}: {text}.",
            recommendation: code == otherwise || code == SmcErrorCode.DiskSpaceInsufficient
                ? $"Correct what {program} says and run the command again."
                : null,
            target: database);

        bool Says(params string[] phrases) => phrases.Any(phrase => words.Any(word => word.Contains(phrase, StringComparison.OrdinalIgnoreCase)));
    }

    private static bool IsError(string line) =>
        line.Contains("error:", StringComparison.Ordinal) || line.Contains("fatal:", StringComparison.Ordinal) || line.Contains("detail:", StringComparison.Ordinal);
}
