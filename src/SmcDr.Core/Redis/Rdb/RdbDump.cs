using System.Buffers;
using System.Buffers.Binary;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// What DUMP gives and RESTORE takes: the value's type byte and payload as they are in an RDB file, the version of the format (two
/// bytes) and a CRC-64 over all of that (eight bytes), both little-endian.
/// </summary>
/// <remarks>RESTORE refuses a version newer than the server's own, so the file's version is given, which every value in it fits.</remarks>
public static class RdbDump
{
    /// <summary>Bytes after the payload.</summary>
    public const int FooterLength = 10;

    /// <summary>How long what <see cref="Write"/> writes is.</summary>
    public static long GetLength(long payloadLength) => 1 + payloadLength + FooterLength;

    /// <summary>Writes a whole dump of a value whose payload is at hand.</summary>
    public static void Write(IBufferWriter<byte> writer, RdbEncoding encoding, ReadOnlySpan<byte> payload, int version)
    {
        Span<byte> target = writer.GetSpan(1);
        target[0] = (byte)encoding;
        writer.Advance(1);
        writer.Write(payload);
        WriteFooter(writer.GetSpan(FooterLength), RedisCrc64.Append(Begin(encoding), payload), version);
        writer.Advance(FooterLength);
    }

    /// <summary>A whole dump of a value whose payload is at hand.</summary>
    public static byte[] Create(RdbEncoding encoding, ReadOnlySpan<byte> payload, int version)
    {
        ArrayBufferWriter<byte> writer = new(checked((int)GetLength(payload.Length)));
        Write(writer, encoding, payload, version);
        return writer.WrittenSpan.ToArray();
    }

    /// <summary>What FUNCTION RESTORE takes: libraries as they are in an RDB file, and the end of a dump.</summary>
    public static byte[] CreateFunctions(IReadOnlyList<RdbFunctionLibrary> libraries, int version)
    {
        ArgumentNullException.ThrowIfNull(libraries);
        const byte Opcode = 245;
        ArrayBufferWriter<byte> writer = new();
        foreach (RdbFunctionLibrary library in libraries)
        {
            writer.Write([Opcode]);
            writer.Advance(RdbLength.Write(writer.GetSpan(9), (ulong)library.Code.Length));
            writer.Write(library.Code.Span);
        }

        ulong checksum = RedisCrc64.Append(0, writer.WrittenSpan);
        WriteFooter(writer.GetSpan(FooterLength), checksum, version);
        writer.Advance(FooterLength);
        return writer.WrittenSpan.ToArray();
    }

    /// <summary>
    /// The checksum after the type byte, for a dump that is written piece by piece: continue it with each piece by
    /// <see cref="RedisCrc64.Append"/>, and give the last to <see cref="WriteFooter"/>.
    /// </summary>
    public static ulong Begin(RdbEncoding encoding) => RedisCrc64.Append(0, [(byte)encoding]);

    /// <summary>Writes the end of a dump.</summary>
    /// <param name="footer">Where to; <see cref="FooterLength"/> bytes.</param>
    /// <param name="checksum">The checksum over type byte and payload.</param>
    /// <param name="version">The version of the file that the payload is from.</param>
    public static void WriteFooter(Span<byte> footer, ulong checksum, int version)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(footer, checked((ushort)version));
        BinaryPrimitives.WriteUInt64LittleEndian(footer[2..], RedisCrc64.Append(checksum, footer[..2]));
    }
}
