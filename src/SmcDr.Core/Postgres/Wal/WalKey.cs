using System.Globalization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>What the key of a WAL object says: a history file, a whole segment, or a piece of one.</summary>
/// <param name="Timeline">The timeline.</param>
/// <param name="Segment">The segment; null for a history file.</param>
/// <param name="StartOffset">Where a piece begins in its segment; null for a whole one.</param>
/// <param name="EndOffset">Where a piece ends in its segment.</param>
internal readonly record struct WalKey(uint Timeline, WalSegmentName? Segment, uint? StartOffset, uint? EndOffset)
{
    public bool IsHistory => Segment is null;

    public bool IsPiece => StartOffset is not null;

    public static WalKey History(uint timeline) => new(timeline, null, null, null);

    public static WalKey Whole(WalSegmentName segment) => new(segment.Timeline, segment, null, null);

    public static WalKey Piece(WalSegmentName segment, uint start, uint end) => new(segment.Timeline, segment, start, end);

    /// <summary>The last part of the key.</summary>
    public string Name => this switch
    {
        { Segment: null } => TimelineHistory.FileName(Timeline),
        { StartOffset: { } start, EndOffset: { } end } => string.Create(CultureInfo.InvariantCulture, $"{Segment}.{start:X8}-{end:X8}"),
        _ => Segment.Value.ToString(),
    };

    public string ToKey(ulong systemId) => RepositoryKeys.Wal(systemId, Timeline) + Name;

    /// <summary>Reads the key of an object below a timeline's folder. False for what is none of ours.</summary>
    public static bool TryParse(string key, string folder, uint timeline, out WalKey result)
    {
        result = default;
        ReadOnlySpan<char> name = key.AsSpan(folder.Length);
        if (name.SequenceEqual(TimelineHistory.FileName(timeline)))
        {
            result = History(timeline);
            return true;
        }

        if (name.Length < WalSegmentName.Length || !WalSegmentName.TryParse(name[..WalSegmentName.Length], out WalSegmentName segment) ||
            segment.Timeline != timeline)
        {
            return false;
        }

        if (name.Length == WalSegmentName.Length)
        {
            result = Whole(segment);
            return true;
        }

        ReadOnlySpan<char> range = name[WalSegmentName.Length..];
        if (range.Length == 18 && range[0] == '.' && range[9] == '-' && WalSegmentName.TryParseHex(range[1..9], out uint start) &&
            WalSegmentName.TryParseHex(range[10..], out uint end) && start < end)
        {
            result = Piece(segment, start, end);
            return true;
        }

        return false;
    }
}
