using System.Buffers;
using System.Buffers.Text;

namespace SmcDr.Core.Redis;

/// <summary>Writes commands: in RESP2 and RESP3 alike an array of strings.</summary>
internal static class RespWriter
{
    private const int MaximumHeader = 16;

    public static void WriteArrayHeader(IBufferWriter<byte> output, int count) => WriteHeader(output, (byte)'*', count);

    public static void WriteBulk(IBufferWriter<byte> output, ReadOnlySpan<byte> bytes)
    {
        WriteHeader(output, (byte)'$', bytes.Length);
        output.Write(bytes);
        output.Write("\r\n"u8);
    }

    private static void WriteHeader(IBufferWriter<byte> output, byte kind, int number)
    {
        Span<byte> span = output.GetSpan(MaximumHeader);
        span[0] = kind;
        Utf8Formatter.TryFormat(number, span[1..], out int digits);
        "\r\n"u8.CopyTo(span[(digits + 1)..]);
        output.Advance(digits + 3);
    }
}
