using System.Buffers.Text;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// Writes <c>RESTORE key ttl value REPLACE [ABSTTL] [IDLETIME n | FREQ n]</c> in the protocol's form, in two parts: what comes before the value and
/// what comes after it.
/// </summary>
/// <param name="name">What the server calls RESTORE.</param>
internal sealed class RestoreCommandWriter(ReadOnlySpan<byte> name)
{
    private const int LongestNumber = 20;

    // Array headers of up to two digits, six bulk headers and line ends, three numbers, the words.
    private const int Fixed = 160 + (3 * LongestNumber);

    private readonly byte[] _name = name.ToArray();

    /// <summary>Room that both parts of a command need at most, without the value.</summary>
    public int MaximumLength(int keyLength) => Fixed + _name.Length + keyLength;

    /// <summary>Writes up to and with the header of the value. Returns the length.</summary>
    public int WriteHead(Span<byte> target, ReadOnlySpan<byte> key, in RestoreTerms terms, long valueLength, out int keyStart)
    {
        int arguments = 5 + (terms.ExpiresAt is null ? 0 : 1) + (terms.IdleSeconds is null && terms.Frequency is null ? 0 : 2);
        int at = Header(target, (byte)'*', arguments);
        at += Bulk(target[at..], _name);
        at += Header(target[at..], (byte)'$', key.Length);
        keyStart = at;
        key.CopyTo(target[at..]);
        at += key.Length;
        at += LineEnd(target[at..]);
        at += Number(target[at..], terms.ExpiresAt ?? 0);
        return at + Header(target[at..], (byte)'$', valueLength);
    }

    /// <summary>Writes what follows the value. Returns the length.</summary>
    public static int WriteTail(Span<byte> target, in RestoreTerms terms)
    {
        int at = LineEnd(target);
        at += Bulk(target[at..], "REPLACE"u8);
        at += terms.ExpiresAt is null ? 0 : Bulk(target[at..], "ABSTTL"u8);
        // An RDB has one of them, by the server's policy, and RESTORE takes one.
        if (terms.IdleSeconds is { } seconds)
        {
            at += Bulk(target[at..], "IDLETIME"u8);
            at += Number(target[at..], seconds);
        }
        else if (terms.Frequency is { } often)
        {
            at += Bulk(target[at..], "FREQ"u8);
            at += Number(target[at..], often);
        }

        return at;
    }

    private static int Bulk(Span<byte> target, ReadOnlySpan<byte> text)
    {
        int at = Header(target, (byte)'$', text.Length);
        text.CopyTo(target[at..]);
        at += text.Length;
        return at + LineEnd(target[at..]);
    }

    private static int Number(Span<byte> target, long number)
    {
        Span<byte> digits = stackalloc byte[LongestNumber];
        Utf8Formatter.TryFormat(number, digits, out int length);
        return Bulk(target, digits[..length]);
    }

    private static int Header(Span<byte> target, byte kind, long number)
    {
        target[0] = kind;
        Utf8Formatter.TryFormat(number, target[1..], out int digits);
        return digits + 1 + LineEnd(target[(digits + 1)..]);
    }

    private static int LineEnd(Span<byte> target)
    {
        "\r\n"u8.CopyTo(target);
        return 2;
    }
}
