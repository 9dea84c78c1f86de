using SmcDr.Core.Platform;

namespace SmcDr.Core.Leases;

/// <summary>Who claims something in a repository: what each sign of life says.</summary>
internal abstract record ClaimHolder
{
    /// <summary>The host's name.</summary>
    public required string Host { get; init; }

    /// <summary>The process.</summary>
    public required int ProcessId { get; init; }

    /// <summary>When the process began, as its kernel counts it: a number of a process is given again.</summary>
    public string? ProcessStart { get; init; }

    /// <summary>The boot of the kernel, and the namespace in which the number of the process means something.</summary>
    public string? Kernel { get; init; }

    /// <summary>Since when, by the clock of the host.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>How long the claim holds after its last sign of life, by the clock of the store.</summary>
    public required double ExpiresAfterSeconds { get; init; }

    /// <summary>When this process began.</summary>
    protected static string? OwnStart => ProcessTable.ReadStart(Environment.ProcessId);

    /// <summary>Where the number of this process means something.</summary>
    protected static string? OwnKernel => ProcessTable.ReadKernel();

    /// <summary>
    /// Whether the process surely is no more. Only its own kernel can say so, and only to who shares its numbers: a container has
    /// numbers of its own.
    /// </summary>
    public bool IsSurelyDead() => IsSurelyDead(ProcessTable.Root);

    /// <summary>As above, by a given place of proc(5).</summary>
    internal bool IsSurelyDead(string processes) =>
        Kernel is not null && ProcessStart is not null && Kernel == ProcessTable.ReadKernel() && ProcessTable.IsGone(ProcessId, ProcessStart, processes);

    /// <summary>Whether it is this process.</summary>
    public bool IsThisProcess() =>
        Kernel is not null && (Host, ProcessId, ProcessStart, Kernel) == (Environment.MachineName, Environment.ProcessId, OwnStart, OwnKernel);
}
