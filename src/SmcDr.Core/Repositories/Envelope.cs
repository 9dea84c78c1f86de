using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace SmcDr.Core.Repositories;

/// <summary>
/// The form of every small document in a repository, and of the head of a WAL object: one line of text,
/// <c>sha256:HEX SPACE JSON LF</c>. The digest is that of the JSON's bytes, so that any changed byte is seen, by us and by
/// anyone with <c>sha256sum</c>.
/// </summary>
public static class Envelope
{
    /// <summary>No head of an object is longer.</summary>
    public const int MaximumLength = 1 << 20;

    private const string Label = "sha256:";
    private const int DigestLength = 64;
    private const byte LineFeed = (byte)'\n';

    /// <summary>Seals a JSON text of one line.</summary>
    public static byte[] Seal(ReadOnlySpan<byte> json)
    {
        if (json.Contains(LineFeed))
        {
            throw new ArgumentException("The JSON text must be one line.", nameof(json));
        }

        byte[] result = new byte[Label.Length + DigestLength + 1 + json.Length + 1];
        string digest = Convert.ToHexStringLower(SHA256.HashData(json));
        int written = Encoding.ASCII.GetBytes(Label + digest + " ", result);
        json.CopyTo(result.AsSpan(written));
        result[^1] = LineFeed;
        return result;
    }

    /// <summary>
    /// Opens the envelope at the start of <paramref name="content"/> and gives the JSON's bytes and the length of the whole line.
    /// </summary>
    /// <param name="content">The object, or the beginning of it.</param>
    /// <param name="key">The object's key, for the error.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ManifestInvalid"/> or <see cref="SmcErrorCode.ChecksumMismatch"/>.</exception>
    public static ReadOnlyMemory<byte> Open(ReadOnlyMemory<byte> content, string key, out int lineLength)
    {
        ReadOnlySpan<byte> span = content.Span;
        int end = span.IndexOf(LineFeed);
        int jsonStart = Label.Length + DigestLength + 1;
        if (end < jsonStart || !span.StartsWith("sha256:"u8) || span[jsonStart - 1] != (byte)' ')
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' does not begin as it should.", target: key);
        }

        ReadOnlyMemory<byte> json = content[jsonStart..end];
        Span<byte> stated = stackalloc byte[SHA256.HashSizeInBytes];
        // Upper-case digits are the same number but not what was written: one byte was changed.
        ReadOnlySpan<byte> text = span.Slice(Label.Length, DigestLength);
        if (text.ContainsAny(s_upperHex) ||
            Convert.FromHexString(text, stated, out _, out int bytes) != OperationStatus.Done || bytes != stated.Length ||
            !CryptographicOperations.FixedTimeEquals(stated, SHA256.HashData(json.Span)))
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch, $"The object '{key}' is damaged: its head does not match its digest.", target: key);
        }

        lineLength = end + 1;
        return json;
    }

    /// <summary>Opens an object that is an envelope and nothing else.</summary>
    public static ReadOnlyMemory<byte> OpenWhole(ReadOnlyMemory<byte> content, string key)
    {
        ReadOnlyMemory<byte> json = Open(content, key, out int lineLength);
        return lineLength == content.Length
            ? json
            : throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' does not end where it should.", target: key);
    }

    private static readonly SearchValues<byte> s_upperHex = SearchValues.Create("ABCDEF"u8);
}
