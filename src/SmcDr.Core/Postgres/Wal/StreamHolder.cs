using System.Globalization;
using System.Text;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Who streams: what a claim says.</summary>
internal sealed record StreamHolder
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

    /// <summary>The server that is streamed from, without any secret.</summary>
    public required string Server { get; init; }

    /// <summary>The replication slot; null = one that goes with the connection.</summary>
    public string? Slot { get; init; }

    /// <summary>Where on its host WAL is kept that the repository cannot take; null where none is.</summary>
    public string? SpillDirectory { get; init; }

    /// <summary>How long the claim holds after its last sign of life, by the clock of the store.</summary>
    public required double ExpiresAfterSeconds { get; init; }

    /// <summary>This process.</summary>
    public static StreamHolder Create(string server, string? slot, TimeSpan expiry, string? spillDirectory = null) => new()
    {
        Host = Environment.MachineName,
        ProcessId = Environment.ProcessId,
        ProcessStart = ReadStart(Environment.ProcessId),
        Kernel = ReadKernel(),
        Since = DateTimeOffset.UtcNow,
        Server = server,
        Slot = slot,
        SpillDirectory = spillDirectory,
        ExpiresAfterSeconds = expiry.TotalSeconds,
    };

    /// <summary>For messages.</summary>
    public string Describe() =>
        $"process {ProcessId.ToString(CultureInfo.InvariantCulture)} on {Host} since {DisplayText.Time(Since)}, from {Server}" +
        (Slot is null ? "" : $" with slot '{Slot}'");

    /// <summary>Where those who stream, or did, may have spilled WAL, as the end of a sentence.</summary>
    public static string DescribeSpills(IEnumerable<StreamHolder> holders)
    {
        string[] places = [.. holders.Where(static holder => holder.SpillDirectory is not null)
            .Select(static holder => $"on {holder.Host} in '{holder.SpillDirectory}'").Distinct(StringComparer.Ordinal)];
        return places.Length == 0 ? "on the host of the stream that received it, where it has a spill directory" : string.Join(" or ", places);
    }

    /// <summary>
    /// Whether the process surely is no more. Only its own kernel can say so, and only to who shares its numbers: a container has
    /// numbers of its own.
    /// </summary>
    public bool IsSurelyDead() =>
        Kernel is not null && ProcessStart is not null && Kernel == ReadKernel() && ReadStart(ProcessId) != ProcessStart;

    /// <summary>Whether both are the same process.</summary>
    public bool IsSame(StreamHolder other) =>
        Kernel is not null && (Host, ProcessId, ProcessStart, Kernel) == (other.Host, other.ProcessId, other.ProcessStart, other.Kernel);

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
