using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>The head of a WAL object, an <see cref="Envelope"/> line; the payload follows it. See docs/repository-format.md.</summary>
public sealed record WalObjectHead
{
    /// <summary>The format of the object.</summary>
    public int Format { get; init; } = Repository.FormatVersion;

    /// <summary>The id of the repository, so that an object that strayed in from another one is noticed.</summary>
    public required Guid RepositoryId { get; init; }

    /// <summary>The name as PostgreSQL gives it: of a segment, or of a history file.</summary>
    public required string Name { get; init; }

    /// <summary>PostgreSQL's system identifier, as text because JSON numbers lose digits.</summary>
    public required string SystemId { get; init; }

    public required uint Timeline { get; init; }

    /// <summary>Where the bytes begin; null for a history file.</summary>
    public Lsn? Start { get; init; }

    /// <summary>Where they end.</summary>
    public Lsn? End { get; init; }

    /// <summary>The cluster's segment size; null for a history file.</summary>
    public int? WalSegmentSize { get; init; }

    /// <summary>The length of the bytes.</summary>
    public required long Length { get; init; }

    /// <summary>The digest of the bytes.</summary>
    public required Hash256 Sha256 { get; init; }

    /// <summary>How the payload is compressed, as <see cref="BlockCodecs.NameOf"/> names it.</summary>
    public required string Codec { get; init; }

    /// <summary>The length of the payload.</summary>
    public required long Stored { get; init; }

    /// <summary>The CRC-32C of the payload.</summary>
    public required uint Crc32C { get; init; }

    /// <summary>The server's clock when it sent the last of the bytes.</summary>
    public DateTimeOffset? ServerTime { get; init; }

    /// <summary>As <c>server_version_num</c>: 150008; where only the format of the pages is known, 150000.</summary>
    public int? ServerVersionNumber { get; init; }

    /// <summary>Where the last record ends that is complete in these bytes.</summary>
    public Lsn? LastRecordEnd { get; init; }

    /// <summary>What a recovery can stop at.</summary>
    public WalIndex? Index { get; init; }

    /// <summary>The fencing epoch under which it was written. Reserved.</summary>
    public long? Epoch { get; init; }
}
