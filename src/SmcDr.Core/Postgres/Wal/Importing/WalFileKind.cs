namespace SmcDr.Core.Postgres.Wal.Importing;

/// <summary>What a file of an archive is, by its name.</summary>
internal enum WalFileKind
{
    /// <summary>A whole segment.</summary>
    Segment,

    /// <summary>The last segment of a timeline, as far as it was written when the timeline was left.</summary>
    Partial,

    /// <summary>A timeline's history.</summary>
    History,

    /// <summary>The label of a base backup, which holds no WAL.</summary>
    Label,

    /// <summary>Something else.</summary>
    Unknown,
}
