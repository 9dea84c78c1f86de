using System.Globalization;
using System.Text;

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
    protected static string? OwnStart => ReadStart(Environment.ProcessId);

    /// <summary>Where the number of this process means something.</summary>
    protected static string? OwnKernel => ReadKernel();

    /// <summary>
    /// Whether the process surely is no more. Only its own kernel can say so, and only to who shares its numbers: a container has
    /// numbers of its own.
    /// </summary>
    public bool IsSurelyDead() =>
        Kernel is not null && ProcessStart is not null && Kernel == ReadKernel() && ReadStart(ProcessId) != ProcessStart;

    /// <summary>Whether it is this process.</summary>
    public bool IsThisProcess() =>
        Kernel is not null && (Host, ProcessId, ProcessStart, Kernel) == (Environment.MachineName, Environment.ProcessId, OwnStart, ReadKernel());

    private static string? ReadKernel()
    {
        try
        {
            string boot = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
            return new FileInfo("/proc/self/ns/pid").LinkTarget is { } numbers ? $"{boot} {numbers}" : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Field 22 of proc(5)'s stat, counted behind the name, which may hold anything. Null where there is no such process.</summary>
    private static string? ReadStart(int processId)
    {
        try
        {
            string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/stat"), Encoding.Latin1);
            string[] fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            // A process that has ended and was not waited for is dead as well.
            return fields.Length > 19 && fields[0] is not ("Z" or "X") ? fields[19] : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
