using SmcDr.Core.Platform;

namespace SmcDr.Core.Incidents;

/// <summary>The process of a command that an incident notes.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Start">When it began, as its kernel counts it: a number is given again. Null where it is not known.</param>
/// <param name="Kernel">The boot of the kernel, and the namespace in which the number means something. Null where it is not known.</param>
internal sealed record IncidentProcess(int Id, string? Start, string? Kernel)
{
    /// <summary>This process.</summary>
    public static IncidentProcess Own => new(Environment.ProcessId, ProcessTable.ReadStart(Environment.ProcessId), ProcessTable.ReadKernel());

    /// <summary>Whether it surely is no more. Only its own kernel can say so, and only to who shares its numbers.</summary>
    public bool IsSurelyGone() =>
        Kernel is not null && Start is not null && Kernel == ProcessTable.ReadKernel() && ProcessTable.IsGone(Id, Start, ProcessTable.Root);
}
