namespace SmcDr.PowerShell.Bridge;

/// <summary>How long a stopped cmdlet waits for its work to unwind.</summary>
/// <param name="Notice">After this the operator is told what is being waited for.</param>
/// <param name="Limit">After this the work is abandoned, which is told as well.</param>
public sealed record UnwindPatience(TimeSpan Notice, TimeSpan Limit)
{
    /// <summary>Long enough to abort uploads and stop a server, short enough that a dead mount gives the prompt back.</summary>
    public static UnwindPatience Default { get; } = new(TimeSpan.FromSeconds(3), TimeSpan.FromMinutes(2));
}
