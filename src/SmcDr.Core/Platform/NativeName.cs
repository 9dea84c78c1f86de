using System.Buffers;
using System.Globalization;
using System.Text;

namespace SmcDr.Core.Platform;

/// <summary>
/// Names on Linux are bytes without an encoding. In a manifest they are text: well-formed UTF-8 stands as it is, and <c>%</c>, <c>\</c>
/// and every byte that is not well-formed UTF-8 is written as <c>%</c> and two hexadecimal digits in upper case. Each name has one such
/// form, and each form names one name.
/// </summary>
internal static class NativeName
{
    private static readonly UTF8Encoding s_strict = new(false, throwOnInvalidBytes: true);

    /// <summary>The text of a name, or of a path or link target.</summary>
    public static string Escape(ReadOnlySpan<byte> name)
    {
        if (!name.ContainsAny((byte)'%', (byte)'\\') && System.Text.Unicode.Utf8.IsValid(name))
        {
            return Encoding.UTF8.GetString(name);
        }

        StringBuilder text = new(name.Length + 8);
        while (!name.IsEmpty)
        {
            bool isText = Rune.DecodeFromUtf8(name, out Rune rune, out int length) == OperationStatus.Done;
            if (isText && rune.Value is not ('%' or '\\'))
            {
                text.Append(rune);
            }
            else
            {
                foreach (byte b in name[..length])
                {
                    text.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
                }
            }

            name = name[length..];
        }

        return text.ToString();
    }

    /// <summary>The name of a text, ended by a zero for the calls of the system.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ManifestInvalid"/>: the text is not the form of any name.</exception>
    public static byte[] ToBytes(string text)
    {
        byte[] bytes;
        int length = 0;
        if (!text.AsSpan().ContainsAny('%', '\\', '\0'))
        {
            try
            {
                bytes = new byte[s_strict.GetByteCount(text) + 1];
                s_strict.GetBytes(text, bytes);
                return bytes;
            }
            catch (EncoderFallbackException e)
            {
                throw Invalid(text, e);
            }
        }

        byte[] source = Encoding.UTF8.GetBytes(text);
        bytes = new byte[source.Length + 1];
        for (int i = 0; i < source.Length; i++)
        {
            if (source[i] != '%')
            {
                bytes[length++] = source[i];
            }
            else if (i + 2 < source.Length &&
                byte.TryParse(source.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
            {
                bytes[length++] = value;
                i += 2;
            }
            else
            {
                throw Invalid(text);
            }
        }

        // Only the one form is valid: "%2E%2E" or "%2F" would otherwise lead out of the root.
        return !bytes.AsSpan(0, length).Contains((byte)0) && Escape(bytes.AsSpan(0, length)) == text
            ? bytes[..(length + 1)]
            : throw Invalid(text);
    }

    /// <summary>The name of one part of a path, which holds no separator.</summary>
    public static byte[] PartToBytes(string part) =>
        part is "" or "." or ".." || part.Contains('/', StringComparison.Ordinal) ? throw Invalid(part) : ToBytes(part);

    /// <summary>What people see and patterns are compared with: bytes that are no text appear as U+FFFD.</summary>
    public static string Display(string text) =>
        text.Contains('%', StringComparison.Ordinal) ? Encoding.UTF8.GetString(ToBytes(text).AsSpan()[..^1]) : text;

    private static SmcException Invalid(string text, Exception? inner = null) =>
        new(SmcErrorCode.ManifestInvalid, $"The manifest holds the name '{text}', which no file can have.", inner, target: text);
}
