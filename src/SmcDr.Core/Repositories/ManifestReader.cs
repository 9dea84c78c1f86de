using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;

namespace SmcDr.Core.Repositories;

/// <summary>Reads the lines of a manifest whose digest was found right, and believes none of them unseen.</summary>
internal sealed class ManifestReader(string key, Component component)
{
    private readonly List<PackReference> _packs = [];
    private readonly List<BlockReference> _blocks = [];
    private readonly List<ManifestEntry> _entries = [];
    private BackupHeader? _header;
    private bool _ended;
    private long _files;
    private long _bytes;

    public async Task<Manifest> ReadAsync(Stream lines, CancellationToken cancellationToken)
    {
        try
        {
            PipeReader reader = PipeReader.Create(lines, new StreamPipeReaderOptions(bufferSize: 256 << 10, leaveOpen: true));
            while (true)
            {
                ReadResult result = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                ReadOnlySequence<byte> buffer = result.Buffer;
                while (buffer.PositionOf((byte)'\n') is { } end)
                {
                    Take(buffer.Slice(0, end));
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                }

                if (result.IsCompleted)
                {
                    if (!buffer.IsEmpty || !_ended || _header is null)
                    {
                        throw Invalid("it ends too early");
                    }

                    await reader.CompleteAsync().ConfigureAwait(false);
                    return new Manifest(_header, _packs, _entries);
                }

                reader.AdvanceTo(buffer.Start, buffer.End);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidDataException or FormatException or OverflowException)
        {
            throw Invalid(e.Message, e);
        }
    }

    private void Take(ReadOnlySequence<byte> text)
    {
        Utf8JsonReader json = new(text);
        ManifestLine line = JsonSerializer.Deserialize(ref json, ManifestJson.Default.ManifestLine) ?? throw Invalid("a line is null");
        if (_ended || (_header is null) != (line.T == ManifestLine.HeaderLine))
        {
            throw Invalid("its lines are not in order");
        }

        switch (line.T)
        {
            case ManifestLine.HeaderLine:
                _header = line.Header ?? throw Invalid("its header is missing");
                break;
            case ManifestLine.PackLine:
                _packs.Add(new PackReference(
                    component,
                    RepositoryKeys.IsId(line.Backup) ? line.Backup! : throw Invalid($"it names the backup '{line.Backup}'"),
                    Need(line.Pack),
                    Need(line.Length),
                    Need(line.Sha256)));
                break;
            case ManifestLine.BlockLine:
                TakeBlock(line);
                break;
            case ManifestLine.FileLine or ManifestLine.DirectoryLine or ManifestLine.LinkLine:
                TakeEntry(line);
                break;
            case ManifestLine.EndLine:
                if (Need(line.Files) != _files || Need(line.Bytes) != _bytes)
                {
                    throw Invalid("its end does not agree with its lines");
                }

                _ended = true;
                break;
            default:
                throw Invalid($"it holds a line of the unknown kind '{line.T}'");
        }
    }

    private void TakeBlock(ManifestLine line)
    {
        int pack = Need(line.Pack);
        if ((uint)pack >= (uint)_packs.Count)
        {
            throw Invalid("a block lies in a pack that is not listed");
        }

        long at = Need(line.At);
        int stored = Need(line.Stored);
        int length = checked((int)Need(line.Length));
        if (at < 0 || stored <= 0 || length <= 0 || length > Repository.MaximumBlockLength || at + stored > _packs[pack].Length)
        {
            throw Invalid("a block lies outside its pack");
        }

        uint crc = uint.Parse(line.Crc32c ?? "", NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        _blocks.Add(new BlockReference(_packs[pack], at, stored, length, BlockCodecs.Parse(line.Codec), crc, Need(line.Sha256)));
    }

    private void TakeEntry(ManifestLine line)
    {
        ManifestEntryKind kind = line.T switch
        {
            ManifestLine.FileLine => ManifestEntryKind.File,
            ManifestLine.DirectoryLine => ManifestEntryKind.Directory,
            _ => ManifestEntryKind.Link,
        };
        long size = kind == ManifestEntryKind.File ? Need(line.Size) : 0;
        FileExtent[] extents = [.. (line.Extents ?? []).Select(Extent)];
        if (extents.Sum(static extent => (long)extent.Length) != size)
        {
            throw Invalid($"the parts of '{line.Path}' do not make up its size");
        }

        ManifestEntry entry = new()
        {
            Kind = kind,
            Path = line.Path ?? throw Invalid("an entry has no path"),
            Size = size,
            Mode = Convert.ToInt32(line.Mode ?? "0", 8),
            ModifiedTime = line.Mtime,
            LinkTarget = line.To,
            Extents = extents,
            Hash = line.Sha256,
        };
        entry.ValidatePath();
        if (_entries.Count > 0 && string.CompareOrdinal(_entries[^1].Path, entry.Path) >= 0)
        {
            throw Invalid($"'{entry.Path}' is not in order");
        }

        _entries.Add(entry);
        _files += kind == ManifestEntryKind.File ? 1 : 0;
        _bytes += size;
    }

    private FileExtent Extent(int[] triple)
    {
        if (triple is not [int number, int start, int length] || number < -1 || number >= _blocks.Count || start < 0 || length <= 0 ||
            (number >= 0 && (long)start + length > _blocks[number].Length))
        {
            throw Invalid("a part of a file lies outside its block");
        }

        return new FileExtent(number < 0 ? null : _blocks[number], start, length);
    }

    private T Need<T>(T? value)
        where T : struct => value ?? throw Invalid("a line lacks a field");

    private SmcException Invalid(string reason, Exception? inner = null) =>
        new(SmcErrorCode.ManifestInvalid, $"The manifest '{key}' is not valid: {reason.TrimEnd('.')}.", inner, target: key);
}
