namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads positions in the write-ahead log.</summary>
internal static class LsnArgument
{
    /// <summary>The position.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the text is none.</exception>
    public static Lsn Parse(string text) => Lsn.TryParse(text.Trim(), out Lsn lsn)
        ? lsn
        : throw new SmcException(
            SmcErrorCode.ArgumentInvalid,
            $"'{text}' is not a position in the write-ahead log.",
            recommendation: "Write it as PostgreSQL does, two hexadecimal halves: 16/B374D848.",
            target: text);
}
