using System.IO.Compression;

namespace SmcDr.Core.Repositories;

/// <summary>Compresses and decompresses blocks.</summary>
public static class BlockCodecs
{
    /// <summary>The best codec of this machine.</summary>
    public static BlockCodec Default => Zstd.IsAvailable ? BlockCodec.Zstd : BlockCodec.Gzip;

    /// <summary>The codec's name in manifests.</summary>
    public static string NameOf(BlockCodec codec) => codec switch
    {
        BlockCodec.None => "none",
        BlockCodec.Zstd => "zstd",
        BlockCodec.Gzip => "gzip",
        _ => throw new ArgumentOutOfRangeException(nameof(codec)),
    };

    /// <summary>The codec of a name in a manifest.</summary>
    public static BlockCodec Parse(string? name) => name switch
    {
        "none" => BlockCodec.None,
        "zstd" => BlockCodec.Zstd,
        "gzip" => BlockCodec.Gzip,
        _ => throw new SmcException(
            SmcErrorCode.RepositoryFormatUnknown, $"The manifest names the compression '{name}', which this version does not know."),
    };

    /// <summary>The room that <see cref="Compress"/> may need for so many bytes.</summary>
    public static int Bound(int length) => length + (length >> 7) + 1024;

    /// <summary>
    /// Compresses into <paramref name="destination"/> and returns the length; zero where that would not make it smaller.
    /// </summary>
    public static int Compress(BlockCodec codec, ReadOnlySpan<byte> source, Span<byte> destination, int level)
    {
        int length = codec switch
        {
            BlockCodec.None => 0,
            BlockCodec.Zstd => Zstd.Compress(source, destination, level),
            BlockCodec.Gzip => CompressGzip(source, destination),
            _ => throw new ArgumentOutOfRangeException(nameof(codec)),
        };
        return length < source.Length ? length : 0;
    }

    /// <summary>Decompresses a block whose length is known. False where it is damaged.</summary>
    public static bool TryDecompress(BlockCodec codec, ReadOnlySpan<byte> source, Span<byte> destination)
    {
        switch (codec)
        {
            case BlockCodec.None:
                if (source.Length != destination.Length)
                {
                    return false;
                }

                source.CopyTo(destination);
                return true;
            case BlockCodec.Zstd:
                Zstd.ThrowIfUnavailable();
                return Zstd.TryDecompress(source, destination);
            case BlockCodec.Gzip:
                return TryDecompressGzip(source, destination, wholly: true);
            default:
                return false;
        }
    }

    /// <summary>Decompresses the beginning of a block, up to the length of <paramref name="destination"/>. False where that cannot be had.</summary>
    public static bool TryDecompressBeginning(BlockCodec codec, ReadOnlySpan<byte> source, Span<byte> destination)
    {
        switch (codec)
        {
            case BlockCodec.None:
                return destination.Length <= source.Length && source[..destination.Length].TryCopyTo(destination);
            case BlockCodec.Zstd:
                Zstd.ThrowIfUnavailable();
                return Zstd.TryDecompressBeginning(source, destination);
            case BlockCodec.Gzip:
                return TryDecompressGzip(source, destination, wholly: false);
            default:
                return false;
        }
    }

    /// <summary>A stream that decompresses any number of frames one behind the other.</summary>
    public static Stream OpenDecompressor(BlockCodec codec, Stream source) => codec switch
    {
        BlockCodec.None => source,
        BlockCodec.Zstd => new ZstdDecompressStream(source),
        BlockCodec.Gzip => new GZipStream(source, CompressionMode.Decompress),
        _ => throw new ArgumentOutOfRangeException(nameof(codec)),
    };

    private static int CompressGzip(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        using MemoryStream buffer = new(Bound(source.Length));
        using (GZipStream stream = new(buffer, CompressionLevel.Fastest, leaveOpen: true))
        {
            stream.Write(source);
        }

        if (buffer.Length > destination.Length)
        {
            return int.MaxValue;
        }

        buffer.GetBuffer().AsSpan(0, (int)buffer.Length).CopyTo(destination);
        return (int)buffer.Length;
    }

    private static bool TryDecompressGzip(ReadOnlySpan<byte> source, Span<byte> destination, bool wholly)
    {
        try
        {
            using MemoryStream buffer = new(source.ToArray());
            using GZipStream stream = new(buffer, CompressionMode.Decompress);
            return stream.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false) == destination.Length
                && (!wholly || stream.ReadByte() < 0);
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }
}
