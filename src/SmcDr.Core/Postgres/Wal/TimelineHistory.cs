using System.Globalization;
using System.Text;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Where a timeline comes from: its ancestors, oldest first, and where each was left (timeline.c).</summary>
public sealed class TimelineHistory
{
    private TimelineHistory(uint timeline, IReadOnlyList<TimelineBranch> branches, ReadOnlyMemory<byte> content)
    {
        Timeline = timeline;
        Branches = branches;
        Content = content;
    }

    /// <summary>The timeline.</summary>
    public uint Timeline { get; }

    /// <summary>Its ancestors, oldest first. The first timeline has none, and no history file either.</summary>
    public IReadOnlyList<TimelineBranch> Branches { get; }

    /// <summary>The history file, byte for byte. Empty for a timeline without ancestors.</summary>
    public ReadOnlyMemory<byte> Content { get; }

    /// <summary>The timelines whose WAL belongs to this one, newest first, itself included.</summary>
    public IEnumerable<uint> Lineage => Branches.Select(static branch => branch.Timeline).Append(Timeline).Reverse();

    /// <summary>The history of a timeline without ancestors.</summary>
    public static TimelineHistory Root(uint timeline) => new(timeline, [], default);

    /// <summary>The name of the history file of a timeline, such as <c>00000002.history</c>.</summary>
    public static string FileName(uint timeline) => string.Create(CultureInfo.InvariantCulture, $"{timeline:X8}.history");

    /// <summary>Reads a history file.</summary>
    /// <param name="timeline">The timeline that it is named after.</param>
    /// <param name="content">Its bytes.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.WalInvalid"/>: it is no history of this timeline.</exception>
    public static TimelineHistory Parse(uint timeline, ReadOnlySpan<byte> content)
    {
        List<TimelineBranch> branches = [];
        string text = Encoding.UTF8.GetString(content);
        foreach (string raw in text.Split('\n'))
        {
            string line = raw.TrimEnd('\r');
            if (line.AsSpan().TrimStart() is [] or ['#', ..])
            {
                continue;
            }

            string[] parts = line.Split((char[])[' ', '\t'], 3, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (parts.Length < 2 || !uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out uint ancestor) ||
                !Lsn.TryParse(parts[1], out Lsn switchLsn))
            {
                throw Invalid(timeline, $"its line '{line}' is not a timeline and a log sequence number");
            }

            // Switch points never go back: a timeline that was left at once begins and ends at the same place.
            if (ancestor == 0 || ancestor >= timeline ||
                (branches.Count > 0 && (ancestor <= branches[^1].Timeline || switchLsn < branches[^1].SwitchLsn)))
            {
                throw Invalid(timeline, $"its line '{line}' is out of order");
            }

            branches.Add(new TimelineBranch(ancestor, switchLsn, parts.Length > 2 ? parts[2] : ""));
        }

        return branches.Count > 0
            ? new TimelineHistory(timeline, branches, content.ToArray())
            : throw Invalid(timeline, "it names no ancestor");
    }

    /// <summary>Whether a timeline's WAL belongs to this one.</summary>
    public bool Contains(uint timeline) => timeline == Timeline || SwitchPoint(timeline) is not null;

    /// <summary>Where an ancestor was left; null for the timeline itself and for one that is no ancestor.</summary>
    public Lsn? SwitchPoint(uint timeline) => Branches.FirstOrDefault(branch => branch.Timeline == timeline)?.SwitchLsn;

    /// <summary>Where a timeline of the lineage begins: where its parent was left. Zero for the oldest.</summary>
    public Lsn BeginOf(uint timeline)
    {
        Lsn begin = Lsn.Zero;
        foreach (TimelineBranch branch in Branches)
        {
            if (branch.Timeline == timeline)
            {
                return begin;
            }

            begin = branch.SwitchLsn;
        }

        return timeline == Timeline
            ? begin
            : throw new ArgumentException($"Timeline {timeline} is no ancestor of timeline {Timeline}.", nameof(timeline));
    }

    /// <summary>The timeline to which the byte at a position belongs.</summary>
    public uint TimelineAt(Lsn lsn) => Branches.FirstOrDefault(branch => lsn < branch.SwitchLsn)?.Timeline ?? Timeline;

    /// <summary>The child of an ancestor in this lineage; null for the timeline itself.</summary>
    public uint? ChildOf(uint timeline)
    {
        for (int i = 0; i < Branches.Count; i++)
        {
            if (Branches[i].Timeline == timeline)
            {
                return i + 1 < Branches.Count ? Branches[i + 1].Timeline : Timeline;
            }
        }

        return null;
    }

    /// <summary>Writes a history file as PostgreSQL does.</summary>
    public static byte[] Format(IEnumerable<TimelineBranch> branches)
    {
        ArgumentNullException.ThrowIfNull(branches);
        StringBuilder text = new();
        foreach (TimelineBranch branch in branches)
        {
            text.Append(CultureInfo.InvariantCulture, $"{branch.Timeline}\t{branch.SwitchLsn}\t{branch.Reason}\n");
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static SmcException Invalid(uint timeline, string problem) => new(
        SmcErrorCode.WalInvalid, $"The history file '{FileName(timeline)}' is not valid: {problem}.", target: FileName(timeline));
}
