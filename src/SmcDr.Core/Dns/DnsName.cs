using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Dns;

/// <summary>A domain name in one form, so that equal names are equal texts: lower case, with its last dot, international labels in Punycode.</summary>
/// <remarks>
/// Route 53 writes what is no letter, digit, hyphen, underscore or dot as a backslash and three octal digits: <c>*</c> comes back as <c>\052</c>
/// (Route 53 Developer Guide, "DNS domain name format"). Here only what cannot be printed, a dot within a label, and the backslash are
/// escaped, and Route 53 takes names in that form, too.
/// </remarks>
[JsonConverter(typeof(DnsNameJsonConverter))]
public sealed record DnsName
{
    private const int MaximumLabel = 63;

    // RFC 1035, 2.3.4: octets of the whole name, with the length of each label and the root's.
    private const int MaximumWire = 255;

    private static readonly IdnMapping s_idn = new() { AllowUnassigned = false, UseStd3AsciiRules = false };

    private readonly byte[][] _labels;

    private DnsName(byte[][] labels)
    {
        _labels = labels;
        StringBuilder text = new();
        foreach (byte[] label in labels)
        {
            foreach (byte octet in label)
            {
                if (octet is > 0x20 and < 0x7F and not (byte)'.' and not (byte)'\\')
                {
                    text.Append((char)octet);
                }
                else
                {
                    text.Append('\\').Append((char)('0' + (octet >> 6))).Append((char)('0' + ((octet >> 3) & 7))).Append((char)('0' + (octet & 7)));
                }
            }

            text.Append('.');
        }

        Text = labels.Length == 0 ? "." : text.ToString();
    }

    /// <summary>The name with its last dot, such as <c>api.example.com.</c></summary>
    public string Text { get; }

    /// <summary>The name as people write it, such as <c>api.example.com</c>.</summary>
    public string Display => Text.Length == 1 ? Text : Text[..^1];

    /// <summary>Reads a name: with or without its last dot, with Route 53's octal escapes, with letters of other scripts.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: it is none.</exception>
    public static DnsName Parse(string text) => TryParse(text, out DnsName? name)
        ? name
        : throw new SmcException(
            SmcErrorCode.ArgumentInvalid,
            $"'{text}' is not a domain name.",
            recommendation: "Write it as api.example.com: labels of 1 to 63 characters between dots, 253 characters at most.",
            target: text);

    /// <summary>Reads a name, where it is one.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out DnsName? name)
    {
        name = null;
        if (string.IsNullOrEmpty(text))
        {
            return false;
        }

        if (text == ".")
        {
            name = new DnsName([]);
            return true;
        }

        List<byte[]> labels = [];
        int start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length - 1 && text[i] == '\\')
            {
                i++;
            }
            else if (i == text.Length || text[i] == '.')
            {
                if (i == text.Length && i == start)
                {
                    break;
                }

                if (ReadLabel(text.AsSpan(start, Math.Min(i, text.Length) - start)) is not { } label)
                {
                    return false;
                }

                labels.Add(label);
                start = i + 1;
            }
        }

        return TryCreate(labels, out name);
    }

    /// <summary>Whether the name is <paramref name="zone"/> or lies below it.</summary>
    public bool IsWithin(DnsName zone)
    {
        ArgumentNullException.ThrowIfNull(zone);
        int more = _labels.Length - zone._labels.Length;
        return more >= 0 && zone._labels.Index().All(label => label.Item.AsSpan().SequenceEqual(_labels[more + label.Index]));
    }

    /// <inheritdoc/>
    public bool Equals(DnsName? other) => other is not null && Text == other.Text;

    /// <inheritdoc/>
    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    /// <inheritdoc/>
    public override string ToString() => Text;

    /// <summary>Makes a name of labels as they come over the wire.</summary>
    internal static bool TryCreate(IEnumerable<byte[]> labels, [NotNullWhen(true)] out DnsName? name)
    {
        byte[][] lowered = [.. labels.Select(static label => label.Select(static octet => octet is >= (byte)'A' and <= (byte)'Z' ? (byte)(octet + 32) : octet).ToArray())];
        bool isName = lowered.All(static label => label.Length is > 0 and <= MaximumLabel) && lowered.Sum(static label => label.Length + 1) < MaximumWire;
        name = isName ? new DnsName(lowered) : null;
        return isName;
    }

    /// <summary>Writes the name as messages hold it, without compression.</summary>
    internal void WriteTo(Stream stream)
    {
        foreach (byte[] label in _labels)
        {
            stream.WriteByte((byte)label.Length);
            stream.Write(label);
        }

        stream.WriteByte(0);
    }

    private static byte[]? ReadLabel(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
        {
            return null;
        }

        if (text.ContainsAnyExceptInRange('\0', '\x7f'))
        {
            try
            {
                return Encoding.ASCII.GetBytes(s_idn.GetAscii(text.ToString()));
            }
            catch (ArgumentException)
            {
                return null;
            }
        }

        List<byte> label = new(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                if (text[i] <= ' ' || text[i] == '\x7f')
                {
                    return null;
                }

                label.Add((byte)text[i]);
            }
            else if (i + 3 < text.Length && text[i + 1] is >= '0' and <= '3' && char.IsBetween(text[i + 2], '0', '7') && char.IsBetween(text[i + 3], '0', '7'))
            {
                label.Add((byte)(((text[i + 1] - '0') << 6) | ((text[i + 2] - '0') << 3) | (text[i + 3] - '0')));
                i += 3;
            }
            else if (++i < text.Length && !char.IsAsciiDigit(text[i]) && text[i] > ' ')
            {
                label.Add((byte)text[i]);
            }
            else
            {
                return null;
            }
        }

        return [.. label];
    }
}
