namespace SmcDr;

/// <summary>Where a WAL stream stands, as <c>Start-SmcWalStream</c> reports it.</summary>
public sealed record WalStreamStatus
{
    /// <summary>
    /// <c>Connecting</c>, <c>Streaming</c>, <c>Spilling</c> (the repository is full or away, or refuses the account, and what is received is kept on this host),
    /// <c>Waiting</c> (server or repository is away and is tried again), <c>SlotLost</c> (it ended
    /// since the server has let go of WAL) or <c>Stopped</c>.
    /// </summary>
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

    /// <summary>
    /// How old the oldest WAL is that is not in the repository, in seconds, at the worst moment of the last second: what would be lost if the server
    /// died. It counts from when the stream first heard of it; while the server cannot be heard, from when it was heard last. Zero where the
    /// repository has all.
    /// </summary>
    public double? LagSeconds { get; init; }

    /// <summary>What the server says of the slot: <c>reserved</c>, <c>extended</c>, <c>unreserved</c> or <c>lost</c>.</summary>
    public string? SlotState { get; init; }

    /// <summary>How much WAL the server keeps for the slot, in bytes.</summary>
    public long? RetainedBytes { get; init; }

    /// <summary>How much more the server may write before the slot can be lost, in bytes; null where it never lets go.</summary>
    public long? SafeWalBytes { get; init; }

    /// <summary>Whether the stream went on behind a gap: nothing after it can be recovered without a base backup taken since.</summary>
    public bool BaseBackupNeeded { get; init; }

    /// <summary>
    /// Whether commits wait for the repository: <c>Joining</c> (not yet), <c>Synchronous</c> (they do) or <c>Degraded</c> (they do not,
    /// since it took too long). Null in asynchronous mode.
    /// </summary>
    public string? SynchronousState { get; init; }

    /// <summary>How often commits stopped waiting since the start.</summary>
    public int BreachCount { get; init; }

    /// <summary>Since when commits do not wait, in UTC; null where they do.</summary>
    public DateTimeOffset? DegradedSince { get; init; }

    /// <summary>WAL that is kept on this host only, since the repository could not take it, in bytes as stored; null where none may be.</summary>
    public long? SpilledBytes { get; init; }

    /// <summary>Since when WAL is kept on this host only, in UTC; null where all is in the repository.</summary>
    public DateTimeOffset? SpillingSince { get; init; }

    /// <summary>Where on this host it is kept.</summary>
    public string? SpillDirectory { get; init; }

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
