using System.Text;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// A pattern of keys as Redis has them (util.c, stringmatchlen): <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>[^a]</c>, and <c>\</c> before what is meant
/// as it is. Bytes are compared, and the time does not grow exponentially with the stars.
/// </summary>
internal sealed class KeyPattern(string pattern)
{
    private readonly byte[] _pattern = Encoding.UTF8.GetBytes(pattern);

    /// <summary>Whether a key matches.</summary>
    public bool IsMatch(ReadOnlySpan<byte> key)
    {
        ReadOnlySpan<byte> pattern = _pattern;
        int at = 0;
        int position = 0;

        // Where the last star is, and up to which byte of the key it reaches so far. Earlier ones need never reach further.
        int star = -1;
        int reached = 0;
        while (position < key.Length)
        {
            if (at < pattern.Length && pattern[at] == (byte)'*')
            {
                star = at++;
                reached = position;
            }
            else if (at < pattern.Length && MatchOne(pattern[at..], key[position], out int length))
            {
                at += length;
                position++;
            }
            else if (star >= 0)
            {
                at = star + 1;
                position = ++reached;
            }
            else
            {
                return false;
            }
        }

        return pattern[at..].IndexOfAnyExcept((byte)'*') < 0;
    }

    /// <summary>Whether a byte matches what the pattern begins with, which is no star, and how long that is.</summary>
    private static bool MatchOne(ReadOnlySpan<byte> pattern, byte value, out int length)
    {
        switch (pattern[0])
        {
            case (byte)'?':
                length = 1;
                return true;
            case (byte)'[':
                return MatchClass(pattern, value, out length);
            case (byte)'\\' when pattern.Length > 1:
                length = 2;
                return pattern[1] == value;
            default:
                length = 1;
                return pattern[0] == value;
        }
    }

    private static bool MatchClass(ReadOnlySpan<byte> pattern, byte value, out int length)
    {
        int at = 1;
        bool isNegated = at < pattern.Length && pattern[at] == (byte)'^';
        at += isNegated ? 1 : 0;
        bool found = false;

        // A class without an end has it where the pattern has.
        while (at < pattern.Length && pattern[at] != (byte)']')
        {
            ReadOnlySpan<byte> rest = pattern[at..];
            if (rest is [(byte)'\\', byte literal, ..])
            {
                found |= literal == value;
                at += 2;
            }
            else if (rest is [byte first, (byte)'-', byte last, ..])
            {
                found |= value >= Math.Min(first, last) && value <= Math.Max(first, last);
                at += 3;
            }
            else
            {
                found |= rest[0] == value;
                at++;
            }
        }

        length = Math.Min(at + 1, pattern.Length);
        return found != isNegated;
    }
}
