using System.Security.Cryptography;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// A digest of what a value is, and not of how it is written: servers write the same set, hash or list in other orders, other encodings and
/// nodes of other sizes. Of a stream it covers entries, groups and what was not acknowledged.
/// </summary>
internal static class RdbValueDigest
{
    private const int StreamIdLength = 16;
    private const int TimeLength = 8;

    /// <summary>Computes it; false where it cannot be: for modules, hashes whose fields expire, and damaged values.</summary>
    public static bool TryCompute(RdbEncoding encoding, ReadOnlySpan<byte> payload, out UInt128 digest)
    {
        digest = default;
        RdbValueType type = RdbShapes.TypeOf(encoding);
        if (type == RdbValueType.Stream)
        {
            return TryStream(encoding, payload, out digest);
        }

        Accumulator accumulator = new(type);
        bool isRead = new RdbElements(accumulator.Add).TryRead(encoding, payload);
        digest = accumulator.Digest;
        return isRead;
    }

    private static bool TryStream(RdbEncoding encoding, ReadOnlySpan<byte> payload, out UInt128 digest)
    {
        int version = encoding switch
        {
            RdbEncoding.StreamListpacks => 1,
            RdbEncoding.StreamListpacks2 => 2,
            _ => 3,
        };
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        StreamReader reader = new(payload, hash);
        bool isRead = reader.Repeat(static (ref StreamReader node, int _) => node.Text() && node.Text(), version) &&
            // Length and last id; then (version 2) first id, greatest deleted id and entries ever added, which older ones do not know.
            reader.Number() && reader.Number() && reader.Number() &&
            (version < 2 || (reader.SkipNumber() && reader.SkipNumber() && reader.SkipNumber() && reader.SkipNumber() && reader.SkipNumber())) &&
            reader.Repeat(Group, version) &&
            reader.IsAtEnd;
        digest = Take(hash.GetHashAndReset());
        return isRead;

        static bool Group(ref StreamReader group, int version) =>
            group.Text() && group.Number() && group.Number() && (version < 2 || group.SkipNumber()) &&
            group.Repeat(static (ref StreamReader pending, int _) => pending.Bytes(StreamIdLength) && pending.Bytes(TimeLength) && pending.Number(), version) &&
            group.Repeat(Consumer, version);

        // When a consumer was last seen changes by asking for it; when it was last active, version 3 alone knows.
        static bool Consumer(ref StreamReader consumer, int version) =>
            consumer.Text() && consumer.Skip(version < 3 ? TimeLength : 2 * TimeLength) &&
            consumer.Repeat(static (ref StreamReader owned, int _) => owned.Bytes(StreamIdLength), version);
    }

    private static UInt128 Take(ReadOnlySpan<byte> hash) => System.Buffers.Binary.BinaryPrimitives.ReadUInt128LittleEndian(hash);

    /// <summary>Puts the digests of elements together: of a list in order, of a set or hash in whatever order they come.</summary>
    private sealed class Accumulator(RdbValueType type)
    {
        private const int HashLength = 32;

        // The digest so far, or that of a field, and after it that of an element.
        private readonly byte[] _pair = [(byte)type, .. new byte[(2 * HashLength) - 1]];
        private readonly byte[] _hash = new byte[HashLength];
        private readonly bool _isPaired = type is RdbValueType.Hash or RdbValueType.SortedSet;
        private bool _isSecond;

        public UInt128 Digest { get; private set; } = (UInt128)(int)type;

        public void Add(ReadOnlyMemory<byte> element)
        {
            SHA256.HashData(element.Span, _hash);
            if (type is RdbValueType.Set)
            {
                Digest += Take(_hash);
                return;
            }

            if (_isPaired && !_isSecond)
            {
                _hash.CopyTo(_pair, 0);
                _isSecond = true;
                return;
            }

            _hash.CopyTo(_pair, HashLength);
            SHA256.HashData(_pair, _hash);
            if (_isPaired)
            {
                Digest += Take(_hash);
                _isSecond = false;
            }
            else
            {
                _hash.CopyTo(_pair, 0);
                Digest = Take(_hash);
            }
        }
    }

    private delegate bool StreamPart(ref StreamReader reader, int version);

    /// <summary>Reads a stream part by part, and hashes what counts.</summary>
    private ref struct StreamReader(ReadOnlySpan<byte> rest, IncrementalHash hash)
    {
        private readonly RdbText _text = new();
        private ReadOnlySpan<byte> _rest = rest;

        public readonly bool IsAtEnd => _rest.IsEmpty;

        public bool Text()
        {
            int size = _text.Read(_rest, (int)Math.Min(Array.MaxLength, (long)_rest.Length * Lzf.MaximumRatio), out string? _);
            if (size <= 0)
            {
                return false;
            }

            hash.AppendData(BitConverter.GetBytes(_text.Span.Length));
            hash.AppendData(_text.Span);
            _rest = _rest[size..];
            return true;
        }

        public bool Number() => TryNumber(out ulong number) && Append(BitConverter.GetBytes(number));

        public bool SkipNumber() => TryNumber(out _);

        public bool Bytes(int length) => _rest.Length >= length && Append(_rest[..length]) && Skip(length);

        public bool Skip(int length)
        {
            if (_rest.Length < length)
            {
                return false;
            }

            _rest = _rest[length..];
            return true;
        }

        public bool Repeat(StreamPart part, int version)
        {
            if (!TryNumber(out ulong count) || !Append(BitConverter.GetBytes(count)))
            {
                return false;
            }

            for (ulong i = 0; i < count; i++)
            {
                if (!part(ref this, version))
                {
                    return false;
                }
            }

            return true;
        }

        private readonly bool Append(ReadOnlySpan<byte> bytes)
        {
            hash.AppendData(bytes);
            return true;
        }

        private bool TryNumber(out ulong number)
        {
            int size = RdbLength.Read(_rest, out number, out bool isSpecial);
            if (size <= 0 || isSpecial)
            {
                return false;
            }

            _rest = _rest[size..];
            return true;
        }
    }
}
