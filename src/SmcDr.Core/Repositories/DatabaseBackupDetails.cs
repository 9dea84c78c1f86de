namespace SmcDr.Core.Repositories;

/// <summary>What a recovery must know of a physical base backup.</summary>
public sealed record DatabaseBackupDetails
{
    /// <summary>PostgreSQL's system identifier, an unsigned 64-bit number, as text because JSON numbers lose digits.</summary>
    public required string SystemId { get; init; }

    /// <summary>As <c>server_version_num</c>: 150008.</summary>
    public required int ServerVersionNumber { get; init; }

    public required string ServerVersion { get; init; }

    public required uint Timeline { get; init; }

    /// <summary>From where recovery replays.</summary>
    public required Lsn StartLsn { get; init; }

    /// <summary>From where on the backup is consistent.</summary>
    public required Lsn StopLsn { get; init; }

    /// <summary>The server's clock at <c>pg_backup_stop</c>.</summary>
    public required DateTimeOffset StopTime { get; init; }

    /// <summary>This machine's clock at the same moment, so that skew can be told afterwards.</summary>
    public required DateTimeOffset StopTimeHere { get; init; }

    public required int WalSegmentSize { get; init; }

    public required int BlockSize { get; init; }

    public required int WalBlockSize { get; init; }

    /// <summary>Blocks in one file of a relation: 131072 for 1 GiB files of 8 KiB blocks.</summary>
    public required int RelationSegmentBlocks { get; init; }

    public required bool DataChecksums { get; init; }

    /// <summary>The mode of directories: 0700, or 0750 where the group may read.</summary>
    public required int DirectoryMode { get; init; }

    public required string DataDirectory { get; init; }

    /// <summary>Whether the server was a standby.</summary>
    public bool FromStandby { get; init; }

    /// <summary>
    /// Which of the cluster's servers the files were read from. File times mean something only among backups of the same one; a backup that does not
    /// say, means none.
    /// </summary>
    public string? ServerKey { get; init; }

    public IReadOnlyList<TablespaceDetails> Tablespaces { get; init; } = [];

    /// <summary>
    /// The server's clock when the backup began to list files, or that of its file system where that is behind: a file that is younger may
    /// have been changed after it was read, and look the same.
    /// </summary>
    public DateTimeOffset? CopyStartTime { get; init; }

    /// <summary>How many files were taken over from the parent without being read.</summary>
    public long UnchangedFiles { get; init; }

    /// <summary>The bytes of files that the server compared with hashes of the parent's pages.</summary>
    public long ComparedBytes { get; init; }

    /// <summary>The bytes of files that the server sent.</summary>
    public long ReceivedBytes { get; init; }

    /// <summary>Pages whose checksum was wrong although nothing was writing them: file and block number.</summary>
    public IReadOnlyList<string> DamagedPages { get; init; } = [];

    /// <summary>How many pages had a wrong checksum; <see cref="DamagedPages"/> names the first thousand.</summary>
    public int PageChecksumErrors { get; init; }

    /// <summary>Configuration that lies outside the data directory and is not in the backup.</summary>
    public IReadOnlyList<string> OutsideFiles { get; init; } = [];

    /// <summary>Settings that a recovery must not go below, and that explain the backup: name and value.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    /// <summary>Databases with their collation provider and version, to notice a changed C library: name and version.</summary>
    public IReadOnlyDictionary<string, string> CollationVersions { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// Of each database the library that sorted its text during the backup, with its version; none where the library tells none, as for the
    /// locale C. Null in backups that did not ask.
    /// </summary>
    public IReadOnlyDictionary<string, string>? CollationLibraries { get; init; }
}
