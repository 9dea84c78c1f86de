using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>The claim of one stream to a cluster's WAL in a repository.</summary>
/// <remarks>
/// It is looked at before each object is stored. Between that look and the write a moment remains, in which WAL objects that are never
/// replaced and are compared keep both right.
/// </remarks>
internal sealed class StreamClaim : RepositoryClaim<StreamHolder>
{
    private readonly ulong _systemId;

    private StreamClaim(Repository repository, ulong systemId, StreamHolder holder, bool takeover, IOperationObserver observer)
        : base(repository, Folder(systemId), holder, WalJson.Default.StreamHolder, takeover, observer) => _systemId = systemId;

    /// <inheritdoc/>
    protected override string Noun => "stream";

    /// <summary>The folder of a cluster's claims, with its final <c>/</c>.</summary>
    public static string Folder(ulong systemId) => RepositoryKeys.Wal(systemId) + "streams/";

    /// <summary>Takes the claim and keeps it alive until disposed of.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="holder">Who takes it.</param>
    /// <param name="interval">How often it is renewed.</param>
    /// <param name="takeover">Whether claims of others do not count.</param>
    /// <param name="mayWait">
    /// Whether a repository that takes nothing is fine: nobody else is found by reading, and the claim is made once something can be written.
    /// Until then <see cref="RepositoryClaim{THolder}.CheckAsync"/> fails as the repository does.
    /// </param>
    /// <param name="observer">Hears of claims that are void.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.StreamRunning"/>: another stream holds it.</exception>
    public static Task<StreamClaim> TakeAsync(
        Repository repository,
        ulong systemId,
        StreamHolder holder,
        TimeSpan interval,
        bool takeover,
        bool mayWait,
        IOperationObserver observer,
        CancellationToken cancellationToken) => TakeAsync(
            () => new StreamClaim(repository, systemId, holder, takeover, observer), interval, patience: null, mayWait, cancellationToken);

    /// <summary>Those who have a claim, whether it still counts or not.</summary>
    public static async Task<IReadOnlyList<StreamHolder>> ListHoldersAsync(
        Repository repository, ulong systemId, CancellationToken cancellationToken) =>
    [
        .. (await ListAsync(repository, Folder(systemId), WalJson.Default.StreamHolder, cancellationToken).ConfigureAwait(false))
            .Select(static sighting => sighting.Holder),
    ];

    /// <summary>Whether a stream that has not ended gave a sign of life before its claim became void.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="now">The present time; clocks that differ by less than a claim lasts do no harm.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<bool> IsAliveAsync(Repository repository, ulong systemId, DateTimeOffset now, CancellationToken cancellationToken) =>
        (await ListAsync(repository, Folder(systemId), WalJson.Default.StreamHolder, cancellationToken).ConfigureAwait(false))
            .Any(sighting => !sighting.IsEnded && now - sighting.LastSign < TimeSpan.FromSeconds(2 * sighting.Holder.ExpiresAfterSeconds));

    /// <inheritdoc/>
    protected override SmcException Refuse(StreamHolder? holder, TimeSpan age) => new(
        SmcErrorCode.StreamRunning,
        $"The WAL of the database cluster {_systemId} is streamed to {Repository.Location} already" +
            (holder is null
                ? " by a stream that is just beginning."
                : $", by {holder.Describe()}. Its last sign of life is {DisplayText.Duration(age)} old."),
        recommendation: "Let that stream work, or stop it. " +
            (holder is { ExpiresAfterSeconds: var seconds }
                ? $"If it is gone, its claim ends {DisplayText.Duration(TimeSpan.FromSeconds(seconds))} after its last sign of life, and on its " +
                    "own host at once. "
                : "") +
            "To take over from one that cannot be reached, add -Takeover (or --takeover); it stops before it writes again.",
        target: Repository.Location);

    /// <inheritdoc/>
    protected override SmcException RefuseUndecided(StreamHolder holder) => new(
        SmcErrorCode.StreamRunning,
        $"The WAL of the database cluster {_systemId} may be streamed to {Repository.Location} already, by {holder.Describe()}. While " +
            "the repository takes nothing, it cannot be told whether that stream is alive.",
        recommendation: "Let that stream work. If it is surely gone, add -Takeover (or --takeover), or make room in the repository.",
        target: Repository.Location);

    /// <inheritdoc/>
    protected override SmcException Taken() => new(
        SmcErrorCode.StreamTaken,
        $"Another stream has taken over the WAL that this one brought to {Repository.Location}.",
        target: Repository.Location);

    /// <inheritdoc/>
    protected override StreamHolder Unknown() => new()
    {
        Host = "an unknown host",
        ProcessId = 0,
        Since = DateTimeOffset.UnixEpoch,
        Server = "an unknown server",
        ExpiresAfterSeconds = WalReceiverOptions.DefaultClaimExpiry.TotalSeconds,
    };

    /// <inheritdoc/>
    protected override string DescribeReplaced(StreamHolder holder, TimeSpan age, bool isAlive) => isAlive
        ? $"The WAL stream of {holder.Describe()} is taken over; it stops before it writes again."
        : $"The WAL stream of {holder.Describe()} gave no sign of life for {DisplayText.Duration(age)}: its claim is void.";
}
