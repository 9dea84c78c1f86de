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

    public string? Path { get; init; }

    public long? Size { get; init; }

    public string? Mode { get; init; }

    public DateTimeOffset? Mtime { get; init; }

    public string? To { get; init; }

    /// <summary>Triples of block number (−1 for zeros), first byte in the block's content, and length.</summary>
    public int[][]? Extents { get; init; }

    public long? Files { get; init; }

    public long? Bytes { get; init; }
}

/// <summary>How the lines of a manifest are written.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    Converters = [typeof(Hash256JsonConverter), typeof(LsnJsonConverter)])]
[JsonSerializable(typeof(ManifestLine))]
internal sealed partial class ManifestJson : JsonSerializerContext;
