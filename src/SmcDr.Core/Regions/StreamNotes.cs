using System.Globalization;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Regions;

/// <summary>What the restore_command of a standby remembers from one run to the next: a small file in the standby's <c>pg_wal</c>.</summary>
/// <remarks>
/// It keeps who leaves a segment to the stream from doing so for ever where no stream comes: a segment that is asked for again was not streamed. What
/// cannot be read counts for nothing.
/// </remarks>
internal sealed class StreamNotes
{
    /// <summary>The file's name, which no file of WAL has.</summary>
    public const string FileName = "smcdr.fetch";

    /// <summary>The longest time for which segments are fetched without a look.</summary>
    public static readonly TimeSpan LongestQuiet = TimeSpan.FromMinutes(1);

    private const int MostLines = 64;

    // A standby asks again after wal_retrieve_retry_interval (5 s), when its attempt to stream has failed.
    private static readonly TimeSpan s_again = TimeSpan.FromMinutes(2);

    private readonly string _path;
    private readonly Dictionary<string, (DateTimeOffset Time, int Count)> _left = new(StringComparer.Ordinal);
    private DateTimeOffset _quietUntil = DateTimeOffset.MinValue;

    private StreamNotes(string path) => _path = path;

    /// <summary>Reads the notes of a standby.</summary>
    /// <param name="walDirectory">Its <c>pg_wal</c>.</param>
    public static StreamNotes Read(string walDirectory)
    {
        StreamNotes notes = new(Path.Combine(walDirectory, FileName));
        try
        {
            foreach (string line in File.Exists(notes._path) ? File.ReadLines(notes._path).Take(MostLines) : [])
            {
                string[] words = line.Split(' ');
                if (words is not [string name, string text, ..] ||
                    !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long milliseconds) || milliseconds > 253_402_300_799_999)
                {
                    continue;
                }

                DateTimeOffset time = DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
                if (name == "quiet")
                {
                    notes._quietUntil = time;
                }
                else if (WalSegmentName.TryParse(name, out _))
                {
                    notes._left[name] = (time, words is [_, _, string times] &&
                        int.TryParse(times, NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : 1);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // As if there were none.
        }

        return notes;
    }

    /// <summary>Whether segments are fetched for now, without a look at the primary.</summary>
    /// <remarks>A time that is further ahead than any quiet lasts was noted before the clock was set back, and says nothing.</remarks>
    public bool IsQuiet(DateTimeOffset now) => now < _quietUntil && _quietUntil - now <= LongestQuiet;

    /// <summary>Whether a segment was left to the stream so many times, and is asked for again.</summary>
    public bool WasLeft(string segment, DateTimeOffset now, int times = 1) => CountLeft(segment, now) >= times;

    /// <summary>Notes that a segment is left to the stream.</summary>
    /// <returns>Whether it is noted: what is not must be fetched.</returns>
    public bool TryLeave(string segment, DateTimeOffset now)
    {
        _left[segment] = (now, CountLeft(segment, now) + 1);
        return TryWrite(now);
    }

    /// <summary>Notes that segments are fetched for a while.</summary>
    public void KeepQuiet(DateTimeOffset now, TimeSpan time)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(time, LongestQuiet);
        _quietUntil = now + time;
        TryWrite(now);
    }

    private int CountLeft(string segment, DateTimeOffset now) =>
        _left.TryGetValue(segment, out (DateTimeOffset Time, int Count) left) && IsRecent(left.Time, now) ? left.Count : 0;

    private static bool IsRecent(DateTimeOffset time, DateTimeOffset now) => (now - time).Duration() < s_again;

    private bool TryWrite(DateTimeOffset now)
    {
        static string Line(string name, DateTimeOffset time) => string.Create(CultureInfo.InvariantCulture, $"{name} {time.ToUnixTimeMilliseconds()}");
        try
        {
            string temporary = _path + ".tmp";
            File.WriteAllLines(
                temporary,
                _left.Where(one => IsRecent(one.Value.Time, now)).OrderByDescending(static one => one.Value.Time).Take(MostLines - 1)
                    .Select(static one => Line(one.Key, one.Value.Time) + (one.Value.Count == 1
                        ? ""
                        : string.Create(CultureInfo.InvariantCulture, $" {one.Value.Count}")))
                    .Prepend(Line("quiet", IsQuiet(now) ? _quietUntil : DateTimeOffset.UnixEpoch)));
            File.Move(temporary, _path, overwrite: true);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
