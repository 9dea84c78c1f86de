using System.Globalization;

namespace SmcDr.Core.Redis.Restore;

/// <summary>What has become of the keys of a backup so far. Used by all connections at a time.</summary>
internal sealed class RestoreTally
{
    /// <summary>Keys that expire within so many seconds are counted by the second, so that those that are gone at the end are known.</summary>
    private const int ExpirySeconds = 2 * 60 * 60;

    private const int MaximumReasons = 100;

    private readonly Lock _lock = new();
    private readonly Dictionary<(RestoreNode Node, int Database), Count> _restored = [];
    private readonly Dictionary<string, (long Keys, string First)> _failures = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private readonly SortedSet<string> _modules = new(StringComparer.Ordinal);
    private long _expired;
    private long _skipped;
    private long _failed;
    private long _restoredKeys;
    private long _restoredBytes;
    private long _unanswered;
    private long _start;

    /// <summary>Keys whose time has passed.</summary>
    public long Expired => Volatile.Read(ref _expired);

    /// <summary>Keys that were not asked for, or that no server takes.</summary>
    public long Skipped => Volatile.Read(ref _skipped);

    /// <summary>Keys that a server refused.</summary>
    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Keys that a server took.</summary>
    public long Restored => Volatile.Read(ref _restoredKeys);

    /// <summary>How many bytes these take in the RDB.</summary>
    public long RestoredBytes => Volatile.Read(ref _restoredBytes);

    /// <summary>Keys that were sent, and of which nobody knows whether a server took them.</summary>
    public long Unanswered => Volatile.Read(ref _unanswered);

    /// <summary>The modules' types that a server did not know; null where it knew all.</summary>
    public string? MissingModules
    {
        get
        {
            lock (_lock)
            {
                return _modules.Count == 0 ? null : string.Join(", ", _modules);
            }
        }
    }

    /// <summary>Libraries of functions that are there.</summary>
    public int Functions { get; set; }

    /// <summary>Whether the servers were emptied.</summary>
    public bool IsEmptied { get; set; }

    /// <summary>Whether anything was changed, or may have been.</summary>
    public bool HasChanged => IsEmptied || Restored > 0 || Unanswered > 0 || Functions > 0;

    /// <summary>Says what the servers' clock shows when the first key is sent.</summary>
    public void Begin(long serverTime) => _start = serverTime;

    public void AddExpired() => Interlocked.Increment(ref _expired);

    public void AddSkipped() => Interlocked.Increment(ref _skipped);

    public void AddUnanswered(long keys) => Interlocked.Add(ref _unanswered, keys);

    /// <summary>Notes when a key expires that is about to be sent. By whoever reads the backup alone.</summary>
    public void AddExpiry(RestoreNode node, int database, long expiresAt)
    {
        lock (_lock)
        {
            CountOf(node, database).AddExpiry((expiresAt - _start) / 1000);
        }
    }

    public void AddRestored(RestoreNode node, int database, long keys, long bytes)
    {
        Interlocked.Add(ref _restoredKeys, keys);
        Interlocked.Add(ref _restoredBytes, bytes);
        lock (_lock)
        {
            CountOf(node, database).Keys += keys;
        }
    }

    public void AddFailure(ReadOnlySpan<byte> key, int database, string reason)
    {
        Interlocked.Increment(ref _failed);
        lock (_lock)
        {
            if (_failures.TryGetValue(reason, out (long Keys, string First) failure))
            {
                _failures[reason] = (failure.Keys + 1, failure.First);
            }
            else if (_failures.Count < MaximumReasons)
            {
                _failures.Add(reason, (1, string.Create(CultureInfo.InvariantCulture, $"{KeyText.Of(key)} of database {database}")));
            }
        }
    }

    /// <summary>Notes that a server does not know a module's type.</summary>
    public void AddMissingModule(string type)
    {
        lock (_lock)
        {
            if (_modules.Count < MaximumReasons)
            {
                _modules.Add(type);
            }
        }
    }

    /// <summary>Notes what is wrong beside single keys.</summary>
    public void AddProblem(string problem)
    {
        lock (_lock)
        {
            _problems.Add(problem);
        }
    }

    /// <summary>What went wrong: single keys by reason, and the rest.</summary>
    public IReadOnlyList<string> ListProblems()
    {
        lock (_lock)
        {
            return
            [
                .. _failures.OrderByDescending(static failure => failure.Value.Keys).Select(static failure => string.Create(
                    CultureInfo.InvariantCulture,
                    $"{(failure.Value.Keys == 1 ? "1 key was" : $"{failure.Value.Keys:N0} keys were")} not taken: {failure.Key}. {(failure.Value.Keys == 1 ? "It is" : "The first is")} {failure.Value.First}.")),
                .. _problems,
            ];
        }
    }

    /// <summary>
    /// How many keys a server took in a database, and how many of them may have expired since. What is behind the clock by a second may be gone or not.
    /// </summary>
    public (long Keys, long Expired) GetRestored(RestoreNode node, int database, long serverTime)
    {
        lock (_lock)
        {
            return _restored.TryGetValue((node, database), out Count? count)
                ? (count.Keys, count.ExpiredAt(((serverTime - _start) / 1000) + 1))
                : (0, 0);
        }
    }

    /// <summary>The databases into which keys came.</summary>
    public IReadOnlyList<int> ListDatabases()
    {
        lock (_lock)
        {
            return [.. _restored.Where(static pair => pair.Value.Keys > 0).Select(static pair => pair.Key.Database).Distinct().Order()];
        }
    }

    /// <summary>How far it got, as a sentence.</summary>
    /// <param name="total">How many keys there are in what is restored; null where that is not known.</param>
    public string Describe(long? total)
    {
        if (!HasChanged)
        {
            return "Nothing was changed on the server.";
        }

        string of = total is { } all ? string.Create(CultureInfo.InvariantCulture, $" of {all:N0}") : "";
        string uncertain = Unanswered > 0 ? string.Create(CultureInfo.InvariantCulture, $", and perhaps up to {Unanswered:N0} more whose answers were lost") : "";
        string expired = Expired > 0 ? string.Create(CultureInfo.InvariantCulture, $"; {Expired:N0} had expired") : "";
        string failed = Failed > 0 ? string.Create(CultureInfo.InvariantCulture, $"; {Failed:N0} were not taken") : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{(IsEmptied ? "The server was emptied before, and has" : "The server has")} a part of the backup now: {Restored:N0}{of} keys{uncertain}{expired}{failed}.");
    }

    private Count CountOf(RestoreNode node, int database)
    {
        if (!_restored.TryGetValue((node, database), out Count? count))
        {
            _restored.Add((node, database), count = new Count());
        }

        return count;
    }

    private sealed class Count
    {
        private int[] _bySecond = [];

        public long Keys { get; set; }

        public void AddExpiry(long second)
        {
            if (second < ExpirySeconds)
            {
                if (_bySecond.Length == 0)
                {
                    _bySecond = new int[ExpirySeconds];
                }

                _bySecond[Math.Max(0, second)]++;
            }
        }

        public long ExpiredAt(long second)
        {
            long expired = 0;
            for (int i = 0; i < _bySecond.Length && i <= second; i++)
            {
                expired += _bySecond[i];
            }

            return expired;
        }
    }
}
