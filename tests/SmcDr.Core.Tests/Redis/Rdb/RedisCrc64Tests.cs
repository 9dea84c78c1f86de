using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Rdb;

public sealed class RedisCrc64Tests
{
    [Fact]
    public void Append_OfTheUsualText_IsTheKnownChecksum() =>
        Assert.Equal(0xE9C6D914C4B8D9CA, RedisCrc64.Append(0, "123456789"u8));

    [Fact]
    public void Append_InPieces_IsTheChecksumBitByBit()
    {
        byte[] bytes = new byte[1000];
        new Random(5).NextBytes(bytes);
        ulong expected = 0;
        foreach (byte value in bytes)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                // The polynomial as it is usually written, from the highest bit down, so that this is another way to the same number.
                bool carry = ((expected >> 63) ^ ((ulong)value >> bit) & 1) != 0;
                expected = (expected << 1) ^ (carry ? 0xAD93D23594C935A9 : 0);
            }
        }

        ulong reflected = 0;
        for (int bit = 0; bit < 64; bit++)
        {
            reflected |= ((expected >> bit) & 1) << (63 - bit);
        }

        for (int cut = 0; cut < 40; cut++)
        {
            Assert.Equal(reflected, RedisCrc64.Append(RedisCrc64.Append(0, bytes.AsSpan(0, cut)), bytes.AsSpan(cut)));
        }
    }

    [Fact]
    public void Append_OfEveryLength_IsTheChecksumByteByByte()
    {
        // By single bytes nothing is folded, and from a length on all is: every remainder of either side of it.
        byte[] bytes = new byte[400];
        new Random(6).NextBytes(bytes);
        ulong expected = 0x0123456789ABCDEF;
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Equal(expected, RedisCrc64.Append(0x0123456789ABCDEF, bytes.AsSpan(0, length)));
            expected = RedisCrc64.Append(expected, bytes.AsSpan(length, 1));
        }
    }
}
