using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>
/// Head and table of contents of pg_dump's custom format, as pg_backup_archiver.c writes them (ReadHead, ReadToc): versions 1.14 of
/// PostgreSQL 12 to 15, 1.15 of 16 and 1.16 of 17 and 18.
/// </summary>
internal sealed record ArchiveContents
{
    private const int CustomFormat = 1;
    private const int OldestVersion = 0x010E;
    private const int NewestVersion = 0x0110;
    private const int CompressionAlgorithmSince = 0x010F;
    private const int RelationKindSince = 0x0110;

    /// <summary>The database's name.</summary>
    public required string? Database { get; init; }

    public required string? ServerVersion { get; init; }

    public required string? ProgramVersion { get; init; }

    /// <summary>Whether pg_dump compressed the data itself.</summary>
    public required bool IsCompressed { get; init; }

    public required int IntegerSize { get; init; }

    /// <summary>In the order in which pg_restore works them off.</summary>
    public required IReadOnlyList<ArchiveEntry> Entries { get; init; }

    /// <summary>Reads head and contents from the beginning of an archive.</summary>
    /// <param name="bytes">The beginning.</param>
    /// <param name="contents">What was read.</param>
    /// <param name="length">Where the data begins.</param>
    /// <returns>False where more bytes are needed.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.VerificationFailed"/>: it is no such archive.</exception>
    public static bool TryRead(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out ArchiveContents? contents, out int length)
    {
        Reader reader = new(bytes);
        contents = reader.Read();
        length = reader.Position;
        return contents is not null;
    }

    private static SmcException Invalid(string reason) =>
        new(SmcErrorCode.VerificationFailed, $"The output of pg_dump is not an archive as it should be: {reason}.");

    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private readonly ReadOnlySpan<byte> _bytes = bytes;
        private int _integerSize;
        private bool _isShort;

        public int Position { get; private set; }

        public ArchiveContents? Read()
        {
            ReadOnlySpan<byte> magic = Take(5);
            if (_isShort)
            {
                return null;
            }

            if (!magic.SequenceEqual("PGDMP"u8))
            {
                throw Invalid("it does not begin with PGDMP");
            }

            int version = (Byte() << 8) | Byte();
            _ = Byte();
            _integerSize = Byte();
            int offsetSize = Byte();
            int format = Byte();
            if (_isShort)
            {
                return null;
            }

            if (version is < OldestVersion or > NewestVersion || format != CustomFormat || _integerSize is < 4 or > 8 || offsetSize is < 4 or > 8)
            {
                throw Invalid(string.Create(CultureInfo.InvariantCulture, $"version {version >> 8}.{version & 0xFF}, format {format} is not known"));
            }

            bool isCompressed = version >= CompressionAlgorithmSince ? Byte() != 0 : Integer() != 0;
            for (int i = 0; i < 7; i++)
            {
                Integer();
            }

            string? database = Text();
            string? server = Text();
            string? program = Text();
            int count = Integer();
            if (_isShort)
            {
                return null;
            }

            List<ArchiveEntry> entries = [];
            for (int i = 0; i < count; i++)
            {
                if (Entry(version, offsetSize) is not { } entry)
                {
                    return null;
                }

                entries.Add(entry);
            }

            return new ArchiveContents
            {
                Database = database,
                ServerVersion = server,
                ProgramVersion = program,
                IsCompressed = isCompressed,
                IntegerSize = _integerSize,
                Entries = entries,
            };
        }

        private ArchiveEntry? Entry(int version, int offsetSize)
        {
            int id = Integer();
            bool hasData = Integer() != 0;
            Skip();
            Skip();
            string? tag = Text();
            string? kind = Text();
            Integer();
            Skip();
            Skip();
            Skip();
            string? schema = Text();
            string? tablespace = Text();
            Skip();
            if (version >= RelationKindSince)
            {
                Integer();
            }

            string? owner = Text();
            Skip();
            List<int> dependencies = [];
            while (!_isShort && Text() is { } text)
            {
                dependencies.Add(int.TryParse(text, CultureInfo.InvariantCulture, out int number)
                    ? number
                    : throw Invalid("a dependency is no number"));
            }

            Take(1 + offsetSize);
            return _isShort
                ? null
                : new ArchiveEntry
                {
                    DumpId = id,
                    HasData = hasData,
                    Tag = tag ?? "",
                    Kind = kind ?? "",
                    Schema = schema is { Length: > 0 } ? schema : null,
                    Tablespace = tablespace is { Length: > 0 } ? tablespace : null,
                    Owner = owner is { Length: > 0 } ? owner : null,
                    Dependencies = dependencies,
                };
        }

        private ReadOnlySpan<byte> Take(int length)
        {
            if (_isShort || length > _bytes.Length - Position)
            {
                _isShort = true;
                return default;
            }

            ReadOnlySpan<byte> result = _bytes.Slice(Position, length);
            Position += length;
            return result;
        }

        private int Byte() => Take(1) is [byte value] ? value : 0;

        private int Integer()
        {
            ReadOnlySpan<byte> bytes = Take(1 + _integerSize);
            return bytes.IsEmpty ? 0 : ReadInteger(bytes);
        }

        private string? Text()
        {
            int length = Integer();
            return _isShort || length < 0 ? null : Encoding.UTF8.GetString(Take(length));
        }

        private void Skip()
        {
            int length = Integer();
            if (length > 0)
            {
                Take(length);
            }
        }
    }

    /// <summary>A number as WriteInt writes it: a byte for the sign, then the lowest byte first.</summary>
    public static int ReadInteger(ReadOnlySpan<byte> bytes)
    {
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(bytes[1..]);
        if (value > int.MaxValue || bytes[5..].ContainsAnyExcept((byte)0))
        {
            throw Invalid("a number is too large");
        }

        return bytes[0] == 0 ? (int)value : -(int)value;
    }
}
