using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// Keys chosen by chance, each with the same chance however many there are, with digests of their values: what is compared with the server
/// afterwards. Values that have no digest, and large ones, are not among them.
/// </summary>
internal sealed class RestoreSample(int size)
{
    private const int MaximumKeyLength = 4096;

    private readonly List<SampledKey> _keys = [];
    private readonly Random _random = new();
    private long _seen;

    public IReadOnlyList<SampledKey> Keys => _keys;

    /// <summary>Looks at a key whose value is at hand.</summary>
    public void Offer(RdbEntry entry, ReadOnlySpan<byte> payload)
    {
        if (size == 0 || entry.Key.Length > MaximumKeyLength)
        {
            return;
        }

        // Each key that comes later takes the place of an earlier one as often as there are places among all seen (Vitter's algorithm R).
        long place = _seen < size ? _seen : _random.NextInt64(_seen + 1);
        _seen++;
        if (place >= size || !RdbValueDigest.TryCompute(entry.Encoding, payload, out UInt128 digest))
        {
            return;
        }

        SampledKey key = new(entry.Database, entry.Key.ToArray(), entry.Encoding, entry.ExpiresAt, digest);
        if (place < _keys.Count)
        {
            _keys[(int)place] = key;
        }
        else
        {
            _keys.Add(key);
        }
    }
}
