namespace SmcDr;

/// <summary>Something that is wrong with a backup.</summary>
/// <param name="Target">The object in the repository, or the WAL segment.</param>
/// <param name="Code">The error's id, such as <c>SmcChecksumMismatch</c>.</param>
/// <param name="Message">What was found, in a sentence.</param>
public sealed record BackupProblem(string Target, string Code, string Message)
{
    /// <inheritdoc/>
    public override string ToString() => Message;
}
