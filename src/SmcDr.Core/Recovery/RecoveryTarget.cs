using System.Globalization;
using System.Text;

namespace SmcDr.Core.Recovery;

/// <summary>Up to where a recovery replays.</summary>
public sealed record RecoveryTarget
{
    // MAXFNAMELEN in xlog_internal.h, with its end.
    private const int MaximumNameBytes = 63;

    private RecoveryTarget()
    {
    }

    /// <summary>The end of the archive.</summary>
    public static RecoveryTarget Latest { get; } = new() { Kind = RecoveryTargetKind.Latest };

    /// <summary>As soon as the base backup is consistent.</summary>
    public static RecoveryTarget Immediate { get; } = new() { Kind = RecoveryTargetKind.Immediate };

    /// <summary>By what the end is given.</summary>
    public required RecoveryTargetKind Kind { get; init; }

    /// <summary>The instant of <see cref="RecoveryTargetKind.Time"/>, in UTC and whole microseconds, which is what PostgreSQL knows.</summary>
    public DateTimeOffset? Time { get; private init; }

    /// <summary>The position of <see cref="RecoveryTargetKind.Lsn"/>.</summary>
    public Lsn? Lsn { get; private init; }

    /// <summary>The transaction of <see cref="RecoveryTargetKind.Xid"/>, without its epoch.</summary>
    public uint? Xid { get; private init; }

    /// <summary>The restore point of <see cref="RecoveryTargetKind.Name"/>.</summary>
    public string? Name { get; private init; }

    /// <summary>
    /// Whether what is exactly at the target is replayed as well: the transactions committed at the instant, the record at the
    /// position, the transaction itself. Means nothing to the other kinds.
    /// </summary>
    public bool Inclusive { get; init; } = true;

    /// <summary>
    /// The timeline to recover on; null = the one that leads to the newest descendant of the base backup, as far as the target
    /// needs.
    /// </summary>
    public uint? Timeline { get; init; }

    /// <summary>An instant.</summary>
    public static RecoveryTarget AtTime(DateTimeOffset time) => new()
    {
        Kind = RecoveryTargetKind.Time,
        // Cut, not rounded: a transaction after the given instant must not come in.
        Time = time.ToUniversalTime().AddTicks(-(time.Ticks % TimeSpan.TicksPerMicrosecond)),
    };

    /// <summary>A position in the write-ahead log.</summary>
    public static RecoveryTarget AtLsn(Lsn lsn) => new() { Kind = RecoveryTargetKind.Lsn, Lsn = lsn };

    /// <summary>A transaction.</summary>
    public static RecoveryTarget AtXid(uint xid) => xid >= 3
        ? new() { Kind = RecoveryTargetKind.Xid, Xid = xid }
        : throw new SmcException(SmcErrorCode.ArgumentInvalid, $"{xid} is not the id of an ordinary transaction.");

    /// <summary>A restore point.</summary>
    public static RecoveryTarget AtName(string name) =>
        !string.IsNullOrEmpty(name) && Encoding.UTF8.GetByteCount(name) <= MaximumNameBytes && !name.Any(char.IsControl)
            ? new() { Kind = RecoveryTargetKind.Name, Name = name }
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"The name of a restore point has 1 to {MaximumNameBytes} bytes and no control characters.");

    /// <summary>The value as PostgreSQL's settings take it: in particular a time always with its offset.</summary>
    public string? Value => Kind switch
    {
        RecoveryTargetKind.Time => Time!.Value.ToString("yyyy-MM-dd HH:mm:ss.ffffffzzz", CultureInfo.InvariantCulture),
        RecoveryTargetKind.Lsn => Lsn!.Value.ToString(),
        RecoveryTargetKind.Xid => Xid!.Value.ToString(CultureInfo.InvariantCulture),
        RecoveryTargetKind.Name => Name,
        RecoveryTargetKind.Immediate => "immediate",
        _ => null,
    };

    /// <summary>The target in words.</summary>
    public override string ToString() => Kind switch
    {
        RecoveryTargetKind.Latest => "the end of the archive",
        RecoveryTargetKind.Immediate => "the end of the base backup",
        RecoveryTargetKind.Time => $"{(Inclusive ? "" : "before ")}{Time!.Value.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture)} UTC",
        RecoveryTargetKind.Lsn => $"{(Inclusive ? "" : "before ")}LSN {Value}",
        RecoveryTargetKind.Xid => $"{(Inclusive ? "" : "before ")}transaction {Value}",
        _ => $"restore point '{Name}'",
    };

    /// <summary>The same text for the same target: by it a second run knows that it is the same recovery.</summary>
    internal string Identity =>
        string.Create(CultureInfo.InvariantCulture, $"{Kind}:{Value}:{(Inclusive ? "inclusive" : "exclusive")}:{Timeline}");
}
