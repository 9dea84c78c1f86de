using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class WalFramesTests
{
    private const int Size = 1 << 20;

    private readonly WalFrames _frames = new();
    private readonly byte[] _content = [.. Enumerable.Range(0, Size).Select(static i => (byte)(i / 7 % 50))];

    [Fact]
    public void Add_StretchesInARow_AreTogetherWhatADecompressorTakes()
    {
        foreach ((int start, int end) in new[] { (0, 1000), (1000, 500_000), (500_000, Size) })
        {
            AssertIs(_content[start..end], _frames.Add(start, _content.AsMemory(start..end)));
            Assert.Equal(end, _frames.End);
        }

        AssertIs(_content, _frames.All);
    }

    [Fact]
    public void Add_StretchThatReplacesOthers_StandsInTheirPlace()
    {
        for (int start = 0; start < 10_000; start += 1000)
        {
            _frames.Add(start, _content.AsMemory(start, 1000));
        }

        int many = _frames.All.Bytes.Length;
        AssertIs(_content[2000..11_000], _frames.Add(2000, _content.AsMemory(2000, 9000)));
        Assert.Equal(11_000, _frames.End);
        Assert.True(_frames.All.Bytes.Length < many);
        AssertIs(_content[..11_000], _frames.All);
        _frames.Clear();
        Assert.Equal(0, _frames.End);
        AssertIs(_content[..500], _frames.Add(0, _content.AsMemory(0, 500)));
    }

    [Fact]
    public void Add_StretchThatGetsNoSmaller_IsGivenAsItIsAndEndsTheRow()
    {
        Random.Shared.NextBytes(_content.AsSpan(1000, 50_000));
        _frames.Add(0, _content.AsMemory(0, 1000));
        WalPayload plain = _frames.Add(1000, _content.AsMemory(1000, 50_000));
        Assert.Equal(BlockCodec.None, plain.Codec);
        AssertIs(_content[1000..51_000], plain);
        AssertIs(_content[51_000..], _frames.Add(51_000, _content.AsMemory(51_000)));
        Assert.Equal(1000, _frames.End);
        AssertIs(_content[..1000], _frames.All);
    }

    private static void AssertIs(byte[] expected, WalPayload payload)
    {
        byte[] content = new byte[expected.Length];
        Assert.True(BlockCodecs.TryDecompress(payload.Codec, payload.Bytes.Span, content));
        Assert.Equal(expected, content);
    }
}
