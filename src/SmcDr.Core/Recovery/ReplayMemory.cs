using System.Globalization;

namespace SmcDr.Core.Recovery;

/// <summary>
/// How much memory a server gets for replay. Nobody else uses the machine for this cluster meanwhile, and a page that has to make way is written by the one
/// process that replays: with a cluster's own small setting, replay of a gigabyte of WAL takes twice as long.
/// </summary>
internal static class ReplayMemory
{
    private const long Enough = 1L << 30;
    private const long LeastGain = 128L << 20;
    private const int PageSize = 8192;

    /// <summary>A setting of <c>shared_buffers</c> for replay, unless the cluster's own is as good.</summary>
    /// <param name="own">The cluster's setting in pages, as <c>pg_settings</c> has it; null where it is not known.</param>
    /// <param name="value">The setting.</param>
    public static bool TryGetSharedBuffers(string? own, out string value) =>
        TryGetSharedBuffers(own, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, out value);

    /// <param name="own">The cluster's setting.</param>
    /// <param name="available">The memory of this machine, or of this container (which .NET learns from its control group).</param>
    /// <param name="value">The setting.</param>
    public static bool TryGetSharedBuffers(string? own, long available, out string value)
    {
        // A quarter is what PostgreSQL's documentation begins with (19.4.1).
        long wanted = Math.Min(Enough, available / 4) >> 20 << 20;
        value = string.Create(CultureInfo.InvariantCulture, $"{wanted >> 20}MB");
        return long.TryParse(own, NumberStyles.None, CultureInfo.InvariantCulture, out long pages)
            ? wanted >= (pages * PageSize) + LeastGain
            : own is null && wanted > LeastGain;
    }
}
