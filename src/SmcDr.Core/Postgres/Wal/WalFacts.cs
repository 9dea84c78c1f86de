namespace SmcDr.Core.Postgres.Wal;

/// <summary>What is recorded with a stretch of WAL.</summary>
public sealed record WalFacts
{
    /// <summary>The server's clock at a moment at which it had no WAL behind these bytes: what is committed later is committed behind them.</summary>
    public DateTimeOffset? ServerTime { get; init; }

    /// <summary>As <c>server_version_num</c>.</summary>
    public int? ServerVersionNumber { get; init; }

    /// <summary>Where the last record ends that is complete.</summary>
    public required Lsn LastRecordEnd { get; init; }

    /// <summary>What a recovery can stop at.</summary>
    public required WalIndex Index { get; init; }
}
