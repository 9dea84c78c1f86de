using System.Globalization;
using SmcDr.Core.Leases;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Who streams: what a claim says.</summary>
internal sealed record StreamHolder : ClaimHolder
{
    /// <summary>The server that is streamed from, without any secret.</summary>
    public required string Server { get; init; }

    /// <summary>The replication slot; null = one that goes with the connection.</summary>
    public string? Slot { get; init; }

    /// <summary>Where on its host WAL is kept that the repository cannot take; null where none is.</summary>
    public string? SpillDirectory { get; init; }

    /// <summary>This process.</summary>
    public static StreamHolder Create(string server, string? slot, TimeSpan expiry, string? spillDirectory = null) => new()
    {
        Host = Environment.MachineName,
        ProcessId = Environment.ProcessId,
        ProcessStart = OwnStart,
        Kernel = OwnKernel,
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
}
