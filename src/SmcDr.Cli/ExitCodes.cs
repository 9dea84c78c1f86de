namespace SmcDr.Cli;

/// <summary>The exit codes that are not those of <see cref="SmcErrors"/>.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>Done in part: the result and the warnings say what is missing.</summary>
    public const int Partial = 3;

    /// <summary>Stopped by a signal: 128 + SIGINT, as shells do it.</summary>
    public const int Cancelled = 130;
}
