using System.Globalization;
using System.Text;

namespace SmcDr.Core.Repositories;

/// <summary>Packs of an earlier backup that a backup refers to: what must stay when that one is removed.</summary>
/// <param name="Backup">The id of the backup that wrote them.</param>
/// <param name="Packs">Their numbers, ascending, as ranges: <c>1-40,42</c>.</param>
public sealed record PackUse(string Backup, string Packs)
{
    // A pack's number has as many digits as fit; a damaged range must not become a list of billions.
    private const int MaximumPack = 99_999_999;

    /// <summary>What a manifest's packs say, without those of the backup itself.</summary>
    public static IReadOnlyList<PackUse> From(string ownId, IEnumerable<PackReference> packs)
    {
        ArgumentNullException.ThrowIfNull(packs);
        return
        [
            .. packs.Where(pack => pack.BackupId != ownId)
                .GroupBy(static pack => pack.BackupId, static pack => pack.Number, StringComparer.Ordinal)
                .OrderBy(static group => group.Key, StringComparer.Ordinal)
                .Select(static group => new PackUse(group.Key, Format(group))),
        ];
    }

    /// <summary>The numbers.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ManifestInvalid"/>: the text is not such ranges.</exception>
    public IEnumerable<int> Numbers()
    {
        int last = 0;
        foreach (string range in Packs.Split(','))
        {
            int dash = range.IndexOf('-', StringComparison.Ordinal);
            int from = Parse(dash < 0 ? range : range[..dash]);
            int to = dash < 0 ? from : Parse(range[(dash + 1)..]);
            if (from <= last || to < from)
            {
                throw Invalid();
            }

            for (int number = from; number <= to; number++)
            {
                yield return number;
            }

            last = to;
        }
    }

    private static string Format(IEnumerable<int> numbers)
    {
        StringBuilder text = new();
        int[] sorted = [.. numbers.Distinct().Order()];
        for (int i = 0; i < sorted.Length;)
        {
            int end = i;
            while (end + 1 < sorted.Length && sorted[end + 1] == sorted[end] + 1)
            {
                end++;
            }

            text.Append(i == 0 ? "" : ",").Append(CultureInfo.InvariantCulture, $"{sorted[i]}");
            if (end > i)
            {
                text.Append(CultureInfo.InvariantCulture, $"-{sorted[end]}");
            }

            i = end + 1;
        }

        return text.ToString();
    }

    private int Parse(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is > 0 and <= MaximumPack
            ? number
            : throw Invalid();

    private SmcException Invalid() => new(
        SmcErrorCode.ManifestInvalid, $"'{Packs}' are no numbers of packs of the backup '{Backup}'.", target: Backup);
}
