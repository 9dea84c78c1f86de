using System.Buffers;
using System.Text.Json;

namespace SmcDr.Core.Repositories;

/// <summary>Gathers lines of a manifest and compresses them in frames, so that memory stays bounded.</summary>
internal sealed class ManifestFrame : IDisposable
{
    /// <summary>A manifest is written once, is little beside the data, and is most of what an incremental backup of a quiet database stores.</summary>
    public const int DurableLevel = 12;

    private const int FrameSize = 1 << 20;

    private readonly int _level;
    private readonly ArrayBufferWriter<byte> _lines = new(FrameSize + (64 << 10));
    private readonly Utf8JsonWriter _json;
    private byte[] _compressed = [];

    /// <param name="options">The codec.</param>
    /// <param name="level">How hard Zstandard tries; null as hard as for blocks.</param>
    public ManifestFrame(BackupWriterOptions options, int? level = null)
    {
        Codec = options.Codec is null or BlockCodec.None ? BlockCodecs.Default : options.Codec.Value;
        _level = level ?? options.CompressionLevel;
        _json = new Utf8JsonWriter(_lines);
    }

    public BlockCodec Codec { get; }

    public bool IsFull => _lines.WrittenCount >= FrameSize;

    public void Add(ManifestLine line)
    {
        _json.Reset(_lines);
        JsonSerializer.Serialize(_json, line, ManifestJson.Default.ManifestLine);
        _lines.Write("\n"u8);
    }

    /// <summary>Compresses what was gathered and begins anew. The memory is valid until the next call; it is empty where nothing was gathered.</summary>
    public ReadOnlyMemory<byte> Take()
    {
        if (_lines.WrittenCount == 0)
        {
            return default;
        }

        int bound = BlockCodecs.Bound(_lines.WrittenCount);
        if (_compressed.Length < bound)
        {
            _compressed = new byte[bound];
        }

        int length = BlockCodecs.Compress(Codec, _lines.WrittenSpan, _compressed, _level);
        if (length == 0)
        {
            // Lines of JSON always shrink; a frame that did not would need a codec of its own.
            throw new InvalidOperationException("A part of a manifest could not be compressed.");
        }

        _lines.ResetWrittenCount();
        return _compressed.AsMemory(0, length);
    }

    public void Dispose() => _json.Dispose();
}
