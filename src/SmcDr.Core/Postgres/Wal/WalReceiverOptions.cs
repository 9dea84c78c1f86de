using SmcDr.Core.Leases;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>How WAL is received.</summary>
public sealed record WalReceiverOptions
{
    internal static readonly TimeSpan DefaultClaimExpiry = TimeSpan.FromSeconds(60);

    /// <summary>
    /// The physical replication slot, which is created where it is missing and keeps the server from removing WAL that is not
    /// archived. Where null, a temporary one that goes with the connection.
    /// </summary>
    public string? Slot { get; init; }

    /// <summary>Where to begin. Where null: where the archive ends, else at the slot's restart point, else at the server's present position.</summary>
    public Lsn? StartLsn { get; init; }

    /// <summary>The cluster that the server must be; null = one that the repository knows, or any where it knows none.</summary>
    public ulong? ExpectedSystemId { get; init; }

    /// <summary>
    /// How long received bytes may wait until they are stored. What storing takes comes on top, and both together are to stay below a second.
    /// </summary>
    public TimeSpan FlushInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// How often the server is told how far the stream is, also while the repository is slow. Must be well below the server's
    /// <c>wal_sender_timeout</c>.
    /// </summary>
    public TimeSpan StatusInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long the server may be silent before the connection counts as lost.</summary>
    public TimeSpan ServerTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether the stream goes on by itself when the server or the repository was away.</summary>
    public bool Reconnect { get; init; } = true;

    /// <summary>How long to wait before the first attempt to connect again; doubled with each.</summary>
    public TimeSpan ReconnectDelay { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>No attempt to connect again waits longer.</summary>
    public TimeSpan MaximumReconnectDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Where the server has removed WAL that the archive lacks: whether to warn and go on behind the gap instead of failing.
    /// Nothing in the gap can be recovered; a new base backup is needed at once.
    /// </summary>
    public bool ContinueAfterGap { get; init; }

    /// <summary>
    /// Whether this is the one stream of its cluster into the repository, which another one is refused beside. A backup's own stream is
    /// none.
    /// </summary>
    public bool Exclusive { get; init; }

    /// <summary>Whether to take over from another stream whose claim still stands.</summary>
    public bool Takeover { get; init; }

    /// <summary>The site and its region whose WAL it is: refused once the site is led by another region. Null where nothing is known of regions.</summary>
    public FencingScope? Fencing { get; init; }

    /// <summary>How often the claim of an exclusive stream is renewed, and an idle one looks whether its region is fenced off.</summary>
    public TimeSpan ClaimInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long the claim holds after its last sign of life, by the clock of the store.</summary>
    public TimeSpan ClaimExpiry { get; init; } = DefaultClaimExpiry;

    /// <summary>How often the server is asked how the slot is.</summary>
    public TimeSpan SlotCheckInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>From how much WAL on that the server keeps for the slot there is a warning, and another each time it has doubled.</summary>
    public long RetainedWarning { get; init; } = 1L << 30;

    /// <summary>There is a warning when the server may write no more than this before the slot can be lost.</summary>
    public long SafeWalWarning { get; init; } = 1L << 30;

    /// <summary>
    /// Whether the server's commits wait until they are in the repository. It needs <see cref="Slot"/>, and a role that may set
    /// <c>synchronous_standby_names</c>.
    /// </summary>
    public bool Synchronous { get; init; }

    /// <summary>How long commits may wait before they are let go without: a breach.</summary>
    public TimeSpan SynchronousTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A directory of this host, which nothing else uses, for WAL that the repository cannot take because it is full or away; null where such
    /// WAL stays on the server. A synchronous stream brings what is there and adds nothing.
    /// </summary>
    public string? SpillDirectory { get; init; }

    /// <summary>How much may be spilled, in bytes. From then on WAL stays on the server.</summary>
    public long SpillLimit { get; init; } = 10L << 30;

    /// <summary>How long the repository may take for an object before what is received is spilled.</summary>
    public TimeSpan SpillAfter { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long the last bytes may take to be stored when the stream is stopped.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
