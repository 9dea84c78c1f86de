namespace SmcDr;

/// <summary>What one error code means to PowerShell, to the command line and to the operator.</summary>
/// <param name="Code">The code.</param>
/// <param name="Category">PowerShell's category.</param>
/// <param name="ExitCode">The exit code of <c>smcdr</c>, 2 to 125.</param>
/// <param name="Recommendation">What to do next, where the throwing code knows nothing more exact.</param>
public sealed record SmcErrorInfo(SmcErrorCode Code, SmcErrorCategory Category, int ExitCode, string Recommendation)
{
    /// <summary>The stable id of the error: <c>Smc</c> and the code's name.</summary>
    public string ErrorId => "Smc" + Code;
}
