namespace SmcDr.Core.Postgres.Wal;

/// <summary>A block that a record refers to, and where in the record's body its parts are (xlogrecord.h).</summary>
internal readonly record struct WalBlock
{
    private const byte ImageHasHole = 0x01;
    private const byte ImagePgLz = 0x04;
    private const byte ImageLz4 = 0x08;
    private const byte ImageZstd = 0x10;

    public required RelationFile File { get; init; }

    /// <summary>The fork: 0 is the main one.</summary>
    public required byte Fork { get; init; }

    /// <summary>The number of the block in its fork.</summary>
    public required uint Number { get; init; }

    /// <summary>Where the data for the block begins.</summary>
    public int DataOffset { get; init; }

    public int DataLength { get; init; }

    /// <summary>Where the image of the page begins.</summary>
    public int ImageOffset { get; init; }

    /// <summary>The bytes of the image; 0 where there is none.</summary>
    public int ImageLength { get; init; }

    /// <summary>Where zeros in the middle of the page were left out.</summary>
    public ushort HoleOffset { get; init; }

    /// <summary>How many, where the image is compressed; else it is what the image lacks.</summary>
    public ushort HoleLength { get; init; }

    public byte ImageInfo { get; init; }

    public bool HasImage => ImageLength > 0;

    public bool HasHole => (ImageInfo & ImageHasHole) != 0;

    public bool IsPgLz => (ImageInfo & ImagePgLz) != 0;

    public bool IsLz4 => (ImageInfo & ImageLz4) != 0;

    public bool IsZstd => (ImageInfo & ImageZstd) != 0;

    public bool IsCompressed => IsPgLz || IsLz4 || IsZstd;
}
