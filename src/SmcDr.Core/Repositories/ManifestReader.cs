using System.Globalization;
using System.Text.Json;

namespace SmcDr.Core.Repositories;

/// <summary>Reads the lines of a manifest whose digest was found right, and believes none of them unseen. For one pass.</summary>
internal sealed class ManifestReader : IDisposable
{
    private readonly string _key;
    private readonly Component _component;
    private readonly List<PackReference> _packs = [];
    private readonly List<BlockReference> _blocks = [];
    private readonly ManifestEntryParser _entries;
    private readonly IEnumerator<ManifestLine> _lines;
    private bool _hasLine;
    private long _files;
    private long _bytes;

    /// <summary>Reads the header and the packs.</summary>
    /// <param name="key">The manifest's key, for errors.</param>
    /// <param name="component">The component whose folder holds its packs.</param>
    /// <param name="lines">The decompressed lines, which stay the caller's.</param>
    public ManifestReader(string key, Component component, Stream lines)
    {
        _key = key;
        _component = component;
        _entries = new ManifestEntryParser(key, _blocks);
        _lines = ManifestLineReader.Read(lines).GetEnumerator();
        Header = NextLine() is { T: ManifestLine.HeaderLine } first
            ? first.Header ?? throw Invalid("its header is missing")
            : throw Invalid("its lines are not in order");
        while (NextLine() is { T: ManifestLine.PackLine } line)
        {
            _packs.Add(new PackReference(
                _component,
                RepositoryKeys.IsId(line.Backup) ? line.Backup! : throw Invalid($"it names the backup '{line.Backup}'"),
                Need(line.Pack),
                Need(line.Length),
                Need(line.Sha256)));
        }
    }

    public BackupHeader Header { get; }

    public IReadOnlyList<PackReference> Packs => _packs;

    /// <summary>The next entry; null where the manifest has ended as it should.</summary>
    public ManifestEntry? Next()
    {
        try
        {
            while (_hasLine)
            {
                ManifestLine line = _lines.Current;
                if (line.T == ManifestLine.EndLine)
                {
                    if (Need(line.Files) != _files || Need(line.Bytes) != _bytes)
                    {
                        throw Invalid("its end does not agree with its lines");
                    }

                    return NextLine() is null ? null : throw Invalid("its lines are not in order");
                }

                if (line.T == ManifestLine.BlockLine)
                {
                    TakeBlock(line);
                    NextLine();
                }
                else if (ManifestEntryParser.IsEntry(line.T))
                {
                    ManifestEntry entry = _entries.Parse(line);
                    _files += entry.Kind == ManifestEntryKind.File ? 1 : 0;
                    _bytes += entry.Size;
                    NextLine();
                    return entry;
                }
                else
                {
                    throw Invalid(line.T is ManifestLine.HeaderLine or ManifestLine.PackLine
                        ? "its lines are not in order"
                        : $"it holds a line of the unknown kind '{line.T}'");
                }
            }
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            throw Invalid(e.Message, e);
        }

        throw Invalid("it ends too early");
    }

    public void Dispose() => _lines.Dispose();

    private ManifestLine? NextLine()
    {
        try
        {
            _hasLine = _lines.MoveNext();
            return _hasLine ? _lines.Current : null;
        }
        catch (Exception e) when (e is JsonException or InvalidDataException or OverflowException)
        {
            throw Invalid(e.Message, e);
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

        PageHashes? hashes = null;
        if (line.Hashes is not null)
        {
            // Of how many pages is known by who knows their size; that a hash block is no shorter is checked where it is used.
            hashes = line.Hashes is [int number, int first] && (uint)number < (uint)_blocks.Count && first >= 0 &&
                first + (long)PageHashes.EntrySize <= _blocks[number].Length
                ? new PageHashes(_blocks[number], first)
                : throw Invalid("the hashes of a block lie outside their own");
        }

        uint crc = uint.Parse(line.Crc32c ?? "", NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        _blocks.Add(new BlockReference(_packs[pack], at, stored, length, BlockCodecs.Parse(line.Codec), crc, Need(line.Sha256))
        {
            PageSize = line.PageSize is null or >= PageDigests.SmallestPage
                ? line.PageSize
                : throw Invalid($"a block has pages of {line.PageSize} bytes"),
            PageHashes = hashes,
        });
    }

    private T Need<T>(T? value)
        where T : struct => value ?? throw Invalid("a line lacks a field");

    private SmcException Invalid(string reason, Exception? inner = null) =>
        new(SmcErrorCode.ManifestInvalid, $"The manifest '{_key}' is not valid: {reason.TrimEnd('.')}.", inner, target: _key);
}
