using System.Text.Json.Serialization;

namespace SmcDr.Core.Repositories;

/// <summary>One line of a manifest; <see cref="T"/> says which fields it has. The format is docs/repository-format.md.</summary>
internal sealed record ManifestLine
{
    public const string HeaderLine = "header";
    public const string PackLine = "pack";
    public const string BlockLine = "block";
    public const string FileLine = "file";
    public const string DirectoryLine = "dir";
    public const string LinkLine = "link";
    public const string HardLinkLine = "hard";
    public const string SpecialLine = "special";
    public const string EndLine = "end";

    public required string T { get; init; }

    public BackupHeader? Header { get; init; }

    public string? Backup { get; init; }

    public int? Pack { get; init; }

    public long? At { get; init; }

    public int? Stored { get; init; }

    public long? Length { get; init; }

    public string? Codec { get; init; }

    public string? Crc32c { get; init; }

    public Hash256? Sha256 { get; init; }

    /// <summary>The size of pages, where the digest of a block is that of their digests.</summary>
    public int? PageSize { get; init; }

    /// <summary>The number of the hash block that holds the hashes of the block's pages, and where in its content they begin.</summary>
    public int[]? Hashes { get; init; }

    public string? Path { get; init; }

    public long? Size { get; init; }

    public string? Mode { get; init; }

    public DateTimeOffset? Mtime { get; init; }

    public string? To { get; init; }

    /// <summary>Block number (−1 for zeros), first byte in the block's content, and length; or fewer, as <see cref="ExtentText"/> writes it.</summary>
    public int[][]? Extents { get; init; }

    public FileNode? Node { get; init; }

    public long? Files { get; init; }

    public long? Bytes { get; init; }

    /// <summary>The line of an entry, with the number that each block has.</summary>
    public static ManifestLine From(ManifestEntry entry, ExtentText extents, Func<BlockReference, int> numberOf) =>
        new()
        {
            T = entry.Kind switch
            {
                ManifestEntryKind.File => FileLine,
                ManifestEntryKind.Directory => DirectoryLine,
                ManifestEntryKind.Link => LinkLine,
                ManifestEntryKind.HardLink => HardLinkLine,
                ManifestEntryKind.Special => SpecialLine,
                _ => throw new ArgumentOutOfRangeException(nameof(entry)),
            },
            Path = entry.Path,
            Size = entry.Kind == ManifestEntryKind.File ? entry.Size : null,
            Mode = entry.Kind == ManifestEntryKind.HardLink ? null : Convert.ToString(entry.Mode, 8),
            Mtime = entry.ModifiedTime,
            To = entry.LinkTarget,
            Sha256 = entry.Hash,
            Extents = entry.Kind == ManifestEntryKind.File ? extents.Write(entry.Extents, numberOf) : null,
            Node = entry.Node,
        };
}

/// <summary>How the lines of a manifest are written.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    Converters = [typeof(Hash256JsonConverter), typeof(LsnJsonConverter), typeof(FileTimeJsonConverter)])]
[JsonSerializable(typeof(ManifestLine))]
internal sealed partial class ManifestJson : JsonSerializerContext;
