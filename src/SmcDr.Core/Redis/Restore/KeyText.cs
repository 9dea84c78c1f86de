using System.Globalization;
using System.Text;

namespace SmcDr.Core.Redis.Restore;

/// <summary>A key for messages: what can be printed as it is, other bytes as <c>\x00</c>, and of a long one the beginning.</summary>
internal static class KeyText
{
    private const int MaximumLength = 64;

    public static string Of(ReadOnlySpan<byte> key)
    {
        StringBuilder text = new();
        foreach (byte value in key[..Math.Min(key.Length, MaximumLength)])
        {
            if (value is >= 0x20 and < 0x7F and not (byte)'\\' and not (byte)'\'')
            {
                text.Append((char)value);
            }
            else
            {
                text.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
            }
        }

        return key.Length > MaximumLength ? $"'{text}…' ({key.Length} bytes)" : $"'{text}'";
    }
}
