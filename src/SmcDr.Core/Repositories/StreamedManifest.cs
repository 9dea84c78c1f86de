using System.Runtime.CompilerServices;

namespace SmcDr.Core.Repositories;

/// <summary>
/// A manifest whose digest was found right, read entry by entry: a million files do not fit into memory. Its bytes are held locally,
/// so that what is read is what was checked, and may be read several times, one after the other.
/// </summary>
public sealed class StreamedManifest : IAsyncDisposable
{
    private readonly string _key;
    private readonly Component _component;
    private readonly BlockCodec _codec;
    private readonly Stream _content;

    internal StreamedManifest(string key, Component component, BlockCodec codec, Stream content)
    {
        _key = key;
        _component = component;
        _codec = codec;
        _content = content;
        using Stream lines = OpenLines();
        using ManifestReader reader = new(_key, _component, lines);
        Header = reader.Header;
        Packs = reader.Packs;
    }

    /// <summary>What is true of the backup as a whole.</summary>
    public BackupHeader Header { get; }

    /// <summary>The packs that hold its blocks, of this backup and of earlier ones.</summary>
    public IReadOnlyList<PackReference> Packs { get; }

    /// <summary>
    /// The files, directories and links, in ordinal order of their paths, checked as they come: that none is missing is known when the
    /// last has been read. Blocks are the same objects within one reading only.
    /// </summary>
    /// <exception cref="SmcException">The manifest is not valid.</exception>
    public async IAsyncEnumerable<ManifestEntry> ReadEntriesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Stream lines = OpenLines();
        await using (lines.ConfigureAwait(false))
        {
            using ManifestReader reader = new(_key, _component, lines);
            while (reader.Next() is { } entry)
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return entry;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _content.DisposeAsync();

    private Stream OpenLines()
    {
        _content.Position = 0;
        return BlockCodecs.OpenDecompressor(_codec, new UnownedStream(_content));
    }

    /// <summary>A decompressor closes what it reads from; this one is read again.</summary>
    private sealed class UnownedStream(Stream inner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override int Read(Span<byte> buffer) => inner.Read(buffer);

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
