using System.Buffers.Binary;
using System.Globalization;
using System.IO.Pipelines;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// Reads an RDB file of version 1 to 12 from its beginning to its end, one key at a time, and checks everything that can be checked
/// without loading it: the structure of every value, every packed structure within it, every compressed string, and the checksum.
/// </summary>
/// <remarks>
/// <para>
/// Memory does not grow with the file: values are walked in a window that moves over them. Payloads are given only if
/// <see cref="RdbReaderOptions.KeepPayloads"/> asks for them, whole up to <see cref="RdbReaderOptions.MaximumPayload"/> and else in
/// pieces. What the file states is never believed before the bytes are there, so that a damaged or hostile file ends in an
/// <see cref="SmcException"/> with <see cref="SmcErrorCode.RdbInvalid"/> or <see cref="SmcErrorCode.RdbUnsupported"/>, and in nothing else.
/// </para>
/// <para>
/// A key that comes before damage has been given when the damage is found. Who must not act on a damaged file reads it twice, or
/// checks its hash first. Not safe for use by several threads at once.
/// </para>
/// </remarks>
/// <example>
/// <code>
/// await using RdbReader reader = new(stream, new RdbReaderOptions { KeepPayloads = true });
/// while (await reader.ReadAsync(cancellationToken))
/// {
///     RdbEntry entry = reader.Entry;
///     if (entry.IsComplete)
///     {
///         RdbDump.Write(writer, entry.Encoding, reader.Payload.Span, reader.Summary.Version);
///     }
///     else
///     {
///         ulong checksum = RdbDump.Begin(entry.Encoding);
///         while (await reader.ReadPayloadAsync(cancellationToken) is { Length: > 0 } piece)
///         {
///             checksum = RedisCrc64.Append(checksum, piece.Span);   // and write the piece
///         }
///     }
/// }
/// </code>
/// </example>
public sealed class RdbReader : IAsyncDisposable
{
    /// <summary>The newest version of the format that is known: that of Redis 7.4 and 8.0.</summary>
    public const int MaximumVersion = 12;

    private const int Ready = 0;
    private const int MaximumDatabases = 65536;
    private const int MaximumFunctionBytes = 64 * 1024 * 1024;
    private const int MaximumOption = 1024 * 1024 * 1024;
    private readonly Stream _stream;
    private readonly RdbReaderOptions _options;
    private readonly RdbInput _input;
    private readonly RdbValueWalker _walker;
    private readonly RdbText _key = new();
    private readonly RdbText _text = new();
    private readonly RdbText _otherText = new();
    private readonly long? _expiryInstant;
    private Phase _phase;
    private int _databaseNumber;
    private RdbDatabaseSummary? _database;
    private long? _expiry;
    private long? _idle;
    private byte? _frequency;
    private bool _isSkipping;
    private PayloadState _payload;

    /// <summary>Creates a reader over a stream that stands at the beginning of a dump.</summary>
    public RdbReader(Stream stream, RdbReaderOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        _options = options ?? new RdbReaderOptions();
        CheckOption(_options.MaximumPayload, nameof(options));
        CheckOption(_options.MaximumPackedLength, nameof(options));
        CheckOption(_options.MaximumKeyLength, nameof(options));
        _stream = stream;
        _input = new RdbInput(stream, _options.Name, _options.CheckChecksum);
        Summary = new RdbSummary();
        _walker = new RdbValueWalker(_input, _options, Summary.AddModule);
        _expiryInstant = _options.ExpiryInstant?.ToUnixTimeMilliseconds();
    }

    /// <summary>Creates a reader over a pipe.</summary>
    public RdbReader(PipeReader pipe, RdbReaderOptions? options = null)
        : this((pipe ?? throw new ArgumentNullException(nameof(pipe))).AsStream(options?.LeaveOpen ?? false), options)
    {
    }

    private enum Phase
    {
        Header,
        Opcode,
        ModuleData,
        Value,
        End,
    }

    private enum PayloadState
    {
        /// <summary>There is none, or it is not wanted.</summary>
        None,
        /// <summary>It is there and has not been given in pieces.</summary>
        Whole,
        /// <summary>It is longer, and its beginning has not been given.</summary>
        Beginning,
        /// <summary>It is longer, and pieces of it have been given.</summary>
        Continuing,
        /// <summary>All of it has been given.</summary>
        Given,
    }

    /// <summary>The key that was read last. Holds until the next call of <see cref="ReadAsync"/>.</summary>
    public RdbEntry Entry { get; } = new();

    /// <summary>What has been read so far; complete when <see cref="ReadAsync"/> has returned false.</summary>
    public RdbSummary Summary { get; }

    /// <summary>How many bytes of the dump have been passed.</summary>
    public long Position => _input.Offset;

    /// <summary>
    /// What was read from the stream after the end of the dump, such as the commands that follow it in an append-only file. To be
    /// asked for when <see cref="ReadAsync"/> has returned false; the stream goes on after it.
    /// </summary>
    public ReadOnlyMemory<byte> Remainder => _phase == Phase.End ? _input.AvailableMemory : default;

    /// <summary>
    /// The payload of the key that was read last: what follows the key in the file. The type byte before the key belongs to a dump
    /// as well, see <see cref="RdbDump"/>. Holds until the next call of <see cref="ReadAsync"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// Payloads are not kept, or this one was too long to be kept and must be read by <see cref="ReadPayloadAsync"/>.
    /// </exception>
    public ReadOnlyMemory<byte> Payload => _payload == PayloadState.Whole
        ? _input.Kept
        : throw new InvalidOperationException("The payload is not kept, or must be read in pieces.");

    /// <summary>Goes to the next key; false at the end of the dump, after its checksum has been checked.</summary>
    /// <exception cref="SmcException">The file is damaged, ends too early or holds what cannot be read.</exception>
    public async ValueTask<bool> ReadAsync(CancellationToken cancellationToken = default)
    {
        Begin();
        while (Proceed() is > 0 and int needed)
        {
            await _input.FillAsync(needed, cancellationToken).ConfigureAwait(false);
        }

        return _phase != Phase.End;
    }

    /// <summary>
    /// The next piece of the payload of the key that was read last, empty after the last one. A piece holds until the next call.
    /// A payload that was kept whole comes as one piece.
    /// </summary>
    /// <exception cref="InvalidOperationException">Payloads are not kept.</exception>
    /// <exception cref="SmcException">The file is damaged or ends too early.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> ReadPayloadAsync(CancellationToken cancellationToken = default)
    {
        switch (_payload)
        {
            case PayloadState.None:
                throw new InvalidOperationException("Payloads are not kept, or no key has been read.");
            case PayloadState.Given:
                return default;
            case PayloadState.Whole:
                _payload = PayloadState.Given;
                return _input.Kept;
            case PayloadState.Beginning when _input.Kept.Length > 0:
                _payload = PayloadState.Continuing;
                return _input.Kept;
            default:
                break;
        }

        _payload = PayloadState.Continuing;
        _input.Keep();
        while (true)
        {
            int needed = _walker.Walk();
            if (needed == 0)
            {
                CompleteValue();
                _payload = PayloadState.Given;
                return _input.Kept;
            }

            if (_input.Kept.Length > 0 && (long)_input.Kept.Length + needed > _options.MaximumPayload)
            {
                return _input.Kept;
            }

            await _input.FillAsync(needed, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reads to the end of the dump and returns what it holds.</summary>
    /// <exception cref="SmcException">The file is damaged, ends too early or holds what cannot be read.</exception>
    public async ValueTask<RdbSummary> ReadToEndAsync(CancellationToken cancellationToken = default)
    {
        // One asynchronous call for all keys, not one for each.
        while (_phase != Phase.End)
        {
            Begin();
            while (Proceed() is > 0 and int needed)
            {
                await _input.FillAsync(needed, cancellationToken).ConfigureAwait(false);
            }
        }

        return Summary;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _options.LeaveOpen ? ValueTask.CompletedTask : _stream.DisposeAsync();

    private static void CheckOption(int value, string name)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MaximumOption, name);
    }

    private void Begin()
    {
        _input.Release();
        _payload = PayloadState.None;
        _isSkipping = _phase == Phase.Value;
    }

    /// <summary>As <see cref="Advance"/>, over the rest of a value that was too long to be kept and not asked for.</summary>
    private int Proceed()
    {
        if (_isSkipping)
        {
            int needed = _walker.Walk();
            if (needed > 0)
            {
                return needed;
            }

            _isSkipping = false;
            CompleteValue();
        }

        return Advance();
    }

    /// <summary>
    /// Passes what is there. Returns <see cref="Ready"/> at a key or at the end, else how many bytes must be available to go on. What
    /// lies between keys is passed whole or not at all, so that it is read again when there is more.
    /// </summary>
    private int Advance()
    {
        while (true)
        {
            int needed;
            switch (_phase)
            {
                case Phase.Header:
                    needed = PassHeader();
                    break;
                case Phase.Opcode:
                    needed = PassOpcode();
                    break;
                case Phase.ModuleData:
                    needed = _walker.Walk();
                    if (needed == 0)
                    {
                        _phase = Phase.Opcode;
                    }

                    break;
                case Phase.Value:
                    return PassValue();
                default:
                    return Ready;
            }

            if (needed > 0)
            {
                return needed;
            }
        }
    }

    private int PassHeader()
    {
        const int Length = 9;
        ReadOnlySpan<byte> available = _input.Available;
        if (available.Length < Length)
        {
            return Length;
        }

        if (!available.StartsWith("REDIS"u8)
            || !int.TryParse(available[5..Length], NumberStyles.None, CultureInfo.InvariantCulture, out int version))
        {
            // What Valkey writes since it left Redis's numbers.
            throw available.StartsWith("VALKEY"u8)
                ? RdbFault.Unsupported(_options.Name, 0, "it is in the format of Valkey")
                : RdbFault.Damaged(_options.Name, 0, "it does not begin as an RDB file");
        }

        if (version is < 1 or > MaximumVersion)
        {
            throw RdbFault.Unsupported(_options.Name, 0, string.Create(CultureInfo.InvariantCulture,
                $"it is in version {version} of the format, and the versions 1 to {MaximumVersion} are known"));
        }

        Summary.Version = version;
        _input.Advance(Length);
        _phase = Phase.Opcode;
        return 0;
    }

    private int PassOpcode()
    {
        ReadOnlySpan<byte> available = _input.Available;
        if (available.IsEmpty)
        {
            return 1;
        }

        switch ((Opcode)available[0])
        {
            case Opcode.SlotInfo:
                Summary.HasSlots = true;
                return PassNumbers(3, out _);
            case Opcode.Function2:
                return PassFunction(available);
            case Opcode.FunctionPreGa:
                throw RdbFault.Unsupported(_options.Name, Position,
                    "it holds functions in the form of Redis 7.0's release candidates, which no later server reads either");
            case Opcode.ModuleData:
                _input.Advance(1);
                _walker.Start(RdbShapes.ModuleData, 0);
                _phase = Phase.ModuleData;
                return 0;
            case Opcode.Idle:
                int needed = PassNumbers(1, out ulong seconds);
                _idle = seconds <= long.MaxValue ? (long)seconds : throw Damaged("an idle time is out of range");
                return needed;
            case Opcode.Frequency:
                if (available.Length < 2)
                {
                    return 2;
                }

                _frequency = available[1];
                _input.Advance(2);
                return 0;
            case Opcode.Auxiliary:
                return PassAuxiliaryField(available);
            case Opcode.ResizeDatabase:
                return PassNumbers(2, out _);
            case Opcode.ExpiryMilliseconds:
                if (available.Length < 9)
                {
                    return 9;
                }

                SetExpiry(BinaryPrimitives.ReadInt64LittleEndian(available[1..]));
                _input.Advance(9);
                return 0;
            case Opcode.ExpirySeconds:
                if (available.Length < 5)
                {
                    return 5;
                }

                SetExpiry(1000L * BinaryPrimitives.ReadInt32LittleEndian(available[1..]));
                _input.Advance(5);
                return 0;
            case Opcode.SelectDatabase:
                return PassDatabase();
            case Opcode.End:
                return PassEnd(available);
            default:
                return BeginKey(available);
        }
    }

    // A server takes -1 for none.
    private void SetExpiry(long milliseconds) => _expiry = milliseconds == -1 ? null : milliseconds;

    private int PassNumbers(int count, out ulong first)
    {
        ReadOnlySpan<byte> available = _input.Available;
        first = 0;
        int size = 1;
        for (int i = 0; i < count; i++)
        {
            int numberSize = RdbLength.Read(available[size..], out ulong number, out bool isSpecial);
            if (numberSize < 0)
            {
                return size - numberSize;
            }

            if (numberSize == 0 || isSpecial)
            {
                throw Damaged("a number has an unknown form");
            }

            first = i == 0 ? number : first;
            size += numberSize;
        }

        _input.Advance(size);
        return 0;
    }

    private int PassDatabase()
    {
        long at = Position;
        int needed = PassNumbers(1, out ulong number);
        if (needed > 0)
        {
            return needed;
        }

        _databaseNumber = number <= int.MaxValue
            ? (int)number
            : throw RdbFault.Damaged(_options.Name, at, "the number of a database is out of range");
        _database = null;
        return 0;
    }

    private int PassAuxiliaryField(ReadOnlySpan<byte> available)
    {
        int nameSize = _text.Read(available[1..], _options.MaximumKeyLength, out string? fault);
        if (nameSize <= 0)
        {
            return nameSize == 0 ? throw Damaged(fault!) : 1 - nameSize;
        }

        int valueSize = _otherText.Read(available[(1 + nameSize)..], _options.MaximumKeyLength, out fault);
        if (valueSize <= 0)
        {
            return valueSize == 0 ? throw Damaged(fault!) : 1 + nameSize - valueSize;
        }

        Summary.AddAuxiliaryField(_text.Span, _otherText.Span);
        _input.Advance(1 + nameSize + valueSize);
        return 0;
    }

    private int PassFunction(ReadOnlySpan<byte> available)
    {
        int size = _text.Read(available[1..], MaximumFunctionBytes, out string? fault);
        if (size <= 0)
        {
            return size == 0 ? throw Damaged(fault!) : 1 - size;
        }

        if (Summary.FunctionBytes + _text.Span.Length > MaximumFunctionBytes)
        {
            throw RdbFault.Unsupported(_options.Name, Position, "its libraries of functions are larger than 64 MiB");
        }

        Summary.AddFunction(_text.Span);
        _input.Advance(1 + size);
        return 0;
    }

    private int BeginKey(ReadOnlySpan<byte> available)
    {
        RdbEncoding encoding = (RdbEncoding)available[0];
        if (encoding == RdbEncoding.ModulePreGa)
        {
            throw RdbFault.Unsupported(_options.Name, Position,
                "it holds a module's value in the form of Redis 4.0's release candidates, whose end nobody but that module finds");
        }

        RdbInstruction[] shape = RdbShapes.Of(available[0])
            ?? throw Damaged(string.Create(CultureInfo.InvariantCulture, $"{available[0]} is not a type or opcode"));
        int keySize = _key.Read(available[1..], _options.MaximumKeyLength, out string? fault);
        if (keySize <= 0)
        {
            return keySize == 0 ? throw Damaged(fault!) : 1 - keySize;
        }

        Entry.Database = _databaseNumber;
        Entry.Key = _key.Memory;
        Entry.Type = RdbShapes.TypeOf(encoding);
        Entry.Encoding = encoding;
        Entry.ExpiresAt = _expiry;
        Entry.IdleSeconds = _idle;
        Entry.Frequency = _frequency;
        Entry.Offset = Position;
        Entry.IsComplete = false;
        Entry.Length = 0;
        Entry.ElementCount = null;
        _expiry = null;
        _idle = null;
        _frequency = null;
        _input.Advance(1 + keySize);
        Entry.PayloadOffset = Position;
        if (_options.KeepPayloads)
        {
            _input.Keep();
        }

        _walker.Start(shape, encoding == RdbEncoding.String ? 1 : 0);
        _phase = Phase.Value;
        return 0;
    }

    private int PassValue()
    {
        int needed = _walker.Walk();
        if (needed == 0)
        {
            _payload = _options.KeepPayloads ? PayloadState.Whole : PayloadState.None;
            CompleteValue();
            return Ready;
        }

        if (_options.KeepPayloads && (long)_input.Kept.Length + needed > _options.MaximumPayload)
        {
            _payload = PayloadState.Beginning;
            return Ready;
        }

        return needed;
    }

    private void CompleteValue()
    {
        _phase = Phase.Opcode;
        Entry.IsComplete = true;
        Entry.Length = Position - Entry.PayloadOffset;
        Entry.ElementCount = _walker.Elements;
        Summary.StructuresNotChecked = _walker.NotChecked;
        if (_database is null)
        {
            if (!Summary.HasDatabase(_databaseNumber) && Summary.DatabaseCount == MaximumDatabases)
            {
                throw RdbFault.Unsupported(_options.Name, Entry.Offset, "it holds more than 65,536 databases");
            }

            _database = Summary.Database(_databaseNumber);
        }

        _database.Add(Entry, _expiryInstant);
    }

    private int PassEnd(ReadOnlySpan<byte> available)
    {
        const int ChecksumLength = 8;
        if (Summary.Version < 5)
        {
            _input.Advance(1);
            Summary.Checksum = RdbChecksumState.Absent;
        }
        else if (available.Length < 1 + ChecksumLength)
        {
            return 1 + ChecksumLength;
        }
        else
        {
            _input.Advance(1);
            ulong computed = _input.GetChecksum();
            ulong stated = BinaryPrimitives.ReadUInt64LittleEndian(available[1..]);
            if (_options.CheckChecksum && stated != 0 && stated != computed)
            {
                throw Damaged("its checksum is not that of its content");
            }

            _input.Advance(ChecksumLength);
            Summary.Checksum = stated == 0 ? RdbChecksumState.SwitchedOff
                : _options.CheckChecksum ? RdbChecksumState.Verified
                : RdbChecksumState.Unknown;
        }

        Summary.Length = Position;
        _phase = Phase.End;
        return 0;
    }

    private SmcException Damaged(string fault) => RdbFault.Damaged(_options.Name, Position, fault);

    // rdb.h
    private enum Opcode : byte
    {
        SlotInfo = 244,
        Function2 = 245,
        FunctionPreGa = 246,
        ModuleData = 247,
        Idle = 248,
        Frequency = 249,
        Auxiliary = 250,
        ResizeDatabase = 251,
        ExpiryMilliseconds = 252,
        ExpirySeconds = 253,
        SelectDatabase = 254,
        End = 255,
    }
}
