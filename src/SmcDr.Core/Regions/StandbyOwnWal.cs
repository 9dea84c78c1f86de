namespace SmcDr.Core.Regions;

/// <summary>
/// What keeps a standby's <c>restore_command</c> from starting a program for segments that the standby has: a few lines of shell before that program.
/// </summary>
/// <remarks>
/// PostgreSQL asks for every segment, and reads its own file of it only where that fails (xlogrecovery.c, XLogFileReadAnyTLI): after a restart for all that it
/// has received since its last restartpoint, each at the price of a program's start. That a file is there says nothing: old segments are renamed to future
/// ones, with their old content (xlog.c, RemoveXlogFile), and the last one is filled only in part. So a segment is left to PostgreSQL where its first and its
/// last page have the addresses that are theirs. PostgreSQL checks the rest as it does with any WAL of its own, and goes on by its stream, and by asking again,
/// where that ends. An archive that lacks a segment for now is nothing that it would not know. What must not be is that it lacks it for ever, so each name is
/// noted before it is refused, and refused once: who is asked again is the program. Whatever else goes wrong here ends with the program as well.
/// </remarks>
internal static class StandbyOwnWal
{
    /// <summary>The names that were refused: a file in <c>pg_wal</c>, which no file of WAL is called as.</summary>
    public const string FileName = "smcdr.own";

    // Of two thousand segments.
    private const int MaximumLength = 50_000;

    /// <summary>
    /// The beginning of a <c>restore_command</c>, as PostgreSQL reads it: %f and %p are replaced, and %% is one percent sign. It needs what POSIX has, and runs in
    /// the data directory. A server in recovery alone calls its destination so (xlogarchive.c); pages are of 8 KiB, or this does not apply.
    /// </summary>
    public const string Guard =
        "if ([ '%p' = pg_wal/RECOVERYXLOG ] && [ -f 'pg_wal/%f' ] && " +
        "{ [ ! -e pg_wal/" + FileName + " ] || { grep -qxF '%f' pg_wal/" + FileName + "; [ $? -eq 1 ]; }; } && " +
        "n='%f' && t=${n#????????} && s=$(wc -c <\"pg_wal/$n\") && a=$(( (0x${t%%????????} << 32) + 0x${t#????????} * s )) && " +
        "[ $(od -An -tu8 -j8 -N8 \"pg_wal/$n\") -eq $a ] && " +
        "[ $(od -An -tu8 -j$((s - 8184)) -N8 \"pg_wal/$n\") -eq $((a + s - 8192)) ] && " +
        "echo \"$n\" >>pg_wal/" + FileName + ") 2>/dev/null; then exit 1; fi; ";

    /// <summary>Keeps the notes small. A name that is forgotten is refused once more.</summary>
    /// <param name="walDirectory">The standby's <c>pg_wal</c>.</param>
    public static void Trim(string walDirectory)
    {
        try
        {
            if (new FileInfo(Path.Combine(walDirectory, FileName)) is { Exists: true, Length: > MaximumLength } notes)
            {
                notes.Delete();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // They stay, and keep nothing from being fetched.
        }
    }
}
