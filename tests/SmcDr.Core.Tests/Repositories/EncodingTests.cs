using System.Text;
using FsCheck;
using FsCheck.Fluent;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Repositories;

public sealed class EncodingTests
{
    [Fact]
    public void Crc32C_CheckValue_IsThatOfTheStandard() =>
        Assert.Equal(0xE3069283u, Crc32C.Compute("123456789"u8));

    [Fact]
    public void Hash256_ParseAndPrint_AreInverse()
    {
        Hash256 hash = Hash256.Compute("abc"u8);
        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hash.ToString());
        Assert.Equal(hash, Hash256.Parse(hash.ToString()));
        Assert.Throws<FormatException>(() => Hash256.Parse(hash.ToString().ToUpperInvariant()));
        Assert.Throws<FormatException>(() => Hash256.Parse(hash.ToString().AsSpan(1)));
    }

    [Fact]
    public void Envelope_AnyByteChanged_IsFound()
    {
        byte[] right = Envelope.Seal("{\"format\":1}"u8);
        Assert.Equal("{\"format\":1}", Encoding.UTF8.GetString(Envelope.OpenWhole(right, "key").Span));
        for (int at = 0; at < right.Length; at++)
        {
            for (int mask = 1; mask <= 0xFF; mask++)
            {
                byte[] wrong = [.. right];
                wrong[at] ^= (byte)mask;
                Assert.Throws<SmcException>(() => Envelope.OpenWhole(wrong, "key"));
            }
        }
    }

    [Fact]
    public void BlockCodecs_AnyContent_ComesBack() => Prop.ForAll<byte[], int>((noise, repeat) =>
    {
        // Repeated noise compresses, plain noise does not: both ways are taken.
        byte[] content = [.. Enumerable.Repeat(noise, Math.Abs(repeat % 50) + 1).SelectMany(static bytes => bytes), 1];
        foreach (BlockCodec codec in Enum.GetValues<BlockCodec>())
        {
            byte[] stored = new byte[BlockCodecs.Bound(content.Length)];
            int length = BlockCodecs.Compress(codec, content, stored, 1);
            byte[] back = new byte[content.Length];
            bool sound = length == 0
                ? BlockCodecs.TryDecompress(BlockCodec.None, content, back)
                : BlockCodecs.TryDecompress(codec, stored.AsSpan(0, length), back);
            Assert.True(sound);
            Assert.Equal(content, back);
            Assert.False(length > 0 && BlockCodecs.TryDecompress(codec, stored.AsSpan(0, length), new byte[content.Length - 1]));
            Assert.False(length > 0 && BlockCodecs.TryDecompress(codec, stored.AsSpan(0, length), new byte[content.Length + 1]));
        }
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(BlockCodec.Zstd)]
    [InlineData(BlockCodec.Gzip)]
    public async Task OpenDecompressor_FramesOneBehindTheOther_AreOneStream(BlockCodec codec)
    {
        using MemoryStream stored = new();
        using MemoryStream expected = new();
        for (int i = 0; i < 20; i++)
        {
            byte[] part = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat($"line {i}\n", 20 + (i * 997))));
            byte[] buffer = new byte[BlockCodecs.Bound(part.Length)];
            int length = BlockCodecs.Compress(codec, part, buffer, 1);
            expected.Write(part);
            stored.Write(length == 0 ? throw new InvalidOperationException("Nothing to test.") : buffer.AsSpan(0, length));
        }

        byte[] all = stored.ToArray();
        using MemoryStream actual = new();
        await BlockCodecs.OpenDecompressor(codec, new MemoryStream(all)).CopyToAsync(actual);
        Assert.Equal(expected.ToArray(), actual.ToArray());

        await Assert.ThrowsAsync<InvalidDataException>(async () =>
            await BlockCodecs.OpenDecompressor(BlockCodec.Zstd, new MemoryStream(all[..^3])).CopyToAsync(Stream.Null));
    }
}
