using System.Buffers;
using System.Text;

namespace SmcDr.Core.Platform;

/// <summary>
/// Text of files that others write, and of which nothing says in which encoding: UTF-8, and where bytes are none, each of those as a half of a surrogate pair
/// that is alone (U+DC80 to U+DCFF), as Python's <c>surrogateescape</c> has it (PEP 383). So what is read and written again has the same bytes.
/// </summary>
internal static class LosslessText
{
    private const char Escape = '\uDC00';
    private const char FirstEscaped = '\uDC80';
    private const char LastEscaped = '\uDCFF';

    /// <summary>Reads a file.</summary>
    public static string ReadFile(string path) => Decode(File.ReadAllBytes(path));

    /// <summary>The text of bytes.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length);
        Span<char> pair = stackalloc char[2];
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == OperationStatus.Done)
            {
                text.Append(pair[..rune.EncodeToUtf16(pair)]);
            }
            else
            {
                foreach (byte one in bytes[..length])
                {
                    text.Append((char)(Escape + one));
                }
            }

            bytes = bytes[length..];
        }

        return text.ToString();
    }

    /// <summary>The bytes of text: those that it was read from, where <see cref="Decode"/> has read it.</summary>
    public static byte[] Encode(string text)
    {
        ArrayBufferWriter<byte> bytes = new(text.Length + 16);
        ReadOnlySpan<char> left = text;
        while (!left.IsEmpty)
        {
            if (left[0] is >= FirstEscaped and <= LastEscaped)
            {
                bytes.Write([(byte)(left[0] - Escape)]);
                left = left[1..];
                continue;
            }

            _ = Rune.DecodeFromUtf16(left, out Rune rune, out int length);
            bytes.Advance(rune.EncodeToUtf8(bytes.GetSpan(4)));
            left = left[length..];
        }

        return bytes.WrittenSpan.ToArray();
    }
}
