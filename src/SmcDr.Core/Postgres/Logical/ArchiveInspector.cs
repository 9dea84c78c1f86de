using System.Buffers;
using System.Globalization;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>
/// Looks through an archive in pg_dump's custom format as it passes by: the table of contents, that each data block is whole and belongs to
/// an entry, that the archive ends where it should, and how many rows it holds.
/// </summary>
/// <remarks>
/// Rows are counted, not asked for: data that pg_dump did not compress is the text of COPY, in which a line feed within a value is written
/// as <c>\n</c>, so each line feed ends a row (commands/copyto.c, CopyAttributeOutText). The counts are exactly those of the dump's snapshot and cost
/// the server nothing.
/// </remarks>
internal sealed class ArchiveInspector
{
    private const byte DataBlock = 1;
    private const byte LargeObjectBlock = 3;

    // dumpTableData_copy in pg_dump.c ends each table with "\.\n\n\n".
    private const long LinesBehindRows = 3;

    private readonly Dictionary<int, long> _lines = [];
    private readonly HashSet<int> _found = [];
    private readonly byte[] _number = new byte[10];
    private Dictionary<int, ArchiveEntry> _entries = [];
    private ArrayBufferWriter<byte>? _head = new(1 << 20);
    private int _nextAttempt = 64 << 10;
    private int _numberLength;
    private int _entry;
    private int _chunk;
    private State _state;
    private bool _isLargeObject;

    private enum State
    {
        BlockType,
        BlockEntry,
        LargeObjectId,
        ChunkLength,
        Chunk,
    }

    /// <summary>The contents, once enough of the archive has been seen.</summary>
    public ArchiveContents? Contents { get; private set; }

    /// <summary>How many bytes have been seen.</summary>
    public long Length { get; private set; }

    public long LargeObjectCount { get; private set; }

    /// <summary>Looks at the next bytes.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.VerificationFailed"/>.</exception>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        Length += bytes.Length;
        if (_head is not null)
        {
            _head.Write(bytes);
            // A long table of contents is not read again for each part of it.
            if (_head.WrittenCount >= _nextAttempt)
            {
                TryReadContents();
            }
        }
        else
        {
            Walk(bytes);
        }
    }

    /// <summary>Says that nothing follows.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.VerificationFailed"/>: the archive is cut short, or data of an entry is missing.</exception>
    public void Complete()
    {
        if (_head is not null && !TryReadContents())
        {
            throw Invalid("it ends within its table of contents");
        }

        if (_state != State.BlockType)
        {
            throw Invalid("it ends in the middle of data");
        }

        if (Contents!.Entries.FirstOrDefault(entry => entry.HasData && !_found.Contains(entry.DumpId)) is { } missing)
        {
            throw Invalid($"the data of {missing.Kind} '{missing.Tag}' is missing");
        }
    }

    /// <summary>How many rows the entry's data has; null where it is no table's, or was compressed by pg_dump.</summary>
    public long? RowsOf(ArchiveEntry entry) =>
        entry.Kind == ArchiveKinds.TableData && Contents is { IsCompressed: false } && _lines.TryGetValue(entry.DumpId, out long lines)
            ? Math.Max(0, lines - LinesBehindRows)
            : null;

    private bool TryReadContents()
    {
        ReadOnlySpan<byte> bytes = _head!.WrittenSpan;
        if (!ArchiveContents.TryRead(bytes, out ArchiveContents? contents, out int length))
        {
            _nextAttempt = (int)Math.Min(bytes.Length * 2L, Array.MaxLength);
            return false;
        }

        Contents = contents;
        _entries = contents.Entries.ToDictionary(static entry => entry.DumpId);
        _head = null;
        Walk(bytes[length..]);
        return true;
    }

    private void Walk(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            switch (_state)
            {
                case State.BlockType:
                    _isLargeObject = bytes[0] switch
                    {
                        DataBlock => false,
                        LargeObjectBlock => true,
                        _ => throw Invalid("a data block is of no known kind"),
                    };
                    bytes = bytes[1..];
                    _state = State.BlockEntry;
                    break;
                case State.BlockEntry when TryReadNumber(ref bytes, out int id):
                    if (!_entries.TryGetValue(id, out ArchiveEntry? entry) || !entry.HasData)
                    {
                        throw Invalid(string.Create(CultureInfo.InvariantCulture, $"there is data of entry {id}, which should have none"));
                    }

                    _entry = id;
                    _found.Add(id);
                    _lines.TryAdd(id, 0);
                    _state = _isLargeObject ? State.LargeObjectId : State.ChunkLength;
                    break;
                case State.LargeObjectId when TryReadNumber(ref bytes, out int id):
                    LargeObjectCount += id == 0 ? 0 : 1;
                    _state = id == 0 ? State.BlockType : State.ChunkLength;
                    break;
                case State.ChunkLength when TryReadNumber(ref bytes, out int length):
                    _chunk = length;
                    _state = length > 0 ? State.Chunk
                        : length < 0 ? throw Invalid("a part has a negative length")
                        : _isLargeObject ? State.LargeObjectId : State.BlockType;
                    break;
                case State.Chunk:
                    ReadOnlySpan<byte> part = bytes[..Math.Min(bytes.Length, _chunk)];
                    if (!_isLargeObject)
                    {
                        _lines[_entry] += part.Count((byte)'\n');
                    }

                    _chunk -= part.Length;
                    bytes = bytes[part.Length..];
                    _state = _chunk == 0 ? State.ChunkLength : State.Chunk;
                    break;
            }
        }
    }

    private bool TryReadNumber(ref ReadOnlySpan<byte> bytes, out int value)
    {
        int size = 1 + Contents!.IntegerSize;
        int length = Math.Min(size - _numberLength, bytes.Length);
        bytes[..length].CopyTo(_number.AsSpan(_numberLength));
        _numberLength += length;
        bytes = bytes[length..];
        if (_numberLength < size)
        {
            value = 0;
            return false;
        }

        _numberLength = 0;
        // An object id has 32 bits and stands there as a number with a sign.
        value = _state == State.LargeObjectId
            ? _number.AsSpan(0, size).ContainsAnyExcept((byte)0) ? 1 : 0
            : ArchiveContents.ReadInteger(_number.AsSpan(0, size));
        return true;
    }

    private static SmcException Invalid(string reason) =>
        new(SmcErrorCode.VerificationFailed, $"The output of pg_dump is not an archive as it should be: {reason}.");
}
