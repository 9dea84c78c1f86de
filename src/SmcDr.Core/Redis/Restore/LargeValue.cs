using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// A key whose value is too large to be kept. Its length, which RESTORE wants first, is known only when all of it has been walked, so the value is
/// read from the repository a second time, on its way to the server.
/// </summary>
/// <param name="key">The key.</param>
/// <param name="encoding">How the value is written.</param>
/// <param name="terms">What else RESTORE is told.</param>
/// <param name="offset">Where in the RDB the value begins.</param>
/// <param name="length">How long it is there.</param>
/// <param name="footer">The version and the checksum behind it.</param>
internal sealed class LargeValue(byte[] key, RdbEncoding encoding, RestoreTerms terms, long offset, long length, byte[] footer) : RestoreItem
{
    public ReadOnlySpan<byte> Key => key;

    public RdbEncoding Encoding => encoding;

    public long Offset => offset;

    public long Length => length;

    /// <summary>How many bytes key and value take in the RDB.</summary>
    public long Size => key.Length + length;

    /// <summary>What comes before the value: the command up to there, and the type.</summary>
    public byte[] WriteHead(RestoreCommandWriter writer)
    {
        byte[] head = new byte[writer.MaximumLength(key.Length) + 1];
        int end = writer.WriteHead(head, key, terms, RdbDump.GetLength(length), out _);
        head[end] = (byte)encoding;
        return head[..(end + 1)];
    }

    /// <summary>What comes after the value.</summary>
    public byte[] WriteTail(RestoreCommandWriter writer)
    {
        byte[] tail = new byte[footer.Length + writer.MaximumLength(0)];
        footer.CopyTo(tail, 0);
        return tail[..(footer.Length + RestoreCommandWriter.WriteTail(tail.AsSpan(footer.Length), terms))];
    }
}
