namespace SmcDr.Core.Kubernetes;

/// <summary>What a command in a pod said, and how it ended.</summary>
/// <param name="ExitCode">Its exit code.</param>
/// <param name="Output">What it wrote to its output.</param>
/// <param name="Errors">The end of what it wrote to its errors.</param>
public sealed record ExecResult(int ExitCode, string Output, string Errors);
