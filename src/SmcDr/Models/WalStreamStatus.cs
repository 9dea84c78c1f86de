namespace SmcDr;

/// <summary>Where a WAL stream stands, as <c>Start-SmcWalStream</c> reports it.</summary>
public sealed record WalStreamStatus
{
    /// <summary><c>Connecting</c>, <c>Streaming</c>, <c>Waiting</c> (the server is away and is tried again) or <c>Stopped</c>.</summary>
    public required string State { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public string? SystemId { get; init; }

    /// <summary>The timeline that is streamed.</summary>
    public int? Timeline { get; init; }

    /// <summary>The replication slot.</summary>
    public string? Slot { get; init; }

    /// <summary>Up to where WAL has been received.</summary>
    public string? ReceivedLsn { get; init; }

    /// <summary>Up to where WAL is durable in the repository.</summary>
    public string? FlushedLsn { get; init; }

    /// <summary>The end of the server's WAL when it last spoke.</summary>
    public string? ServerLsn { get; init; }

    /// <summary>What would be lost if the server died now, in bytes.</summary>
    public long? LagBytes { get; init; }

    /// <summary>How long data has waited to become durable, in seconds.</summary>
    public double? LagSeconds { get; init; }

    /// <summary>Whole segments stored since the start.</summary>
    public long SegmentCount { get; init; }

    /// <summary>WAL received since the start, in bytes.</summary>
    public long ReceivedBytes { get; init; }

    /// <summary>How often the connection was made anew.</summary>
    public int Reconnects { get; init; }

    /// <summary>When this was true, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>What the stream has to say, such as why it waits.</summary>
    public string? Message { get; init; }
}
