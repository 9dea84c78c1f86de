using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Leases;

/// <summary>
/// The right to change a site as a whole, one at a time: to restore it, or to lead it to another region. Backups and the WAL stream go on
/// beside it.
/// </summary>
/// <remarks>
/// A lease ends by itself, and holds for who renews it: one that cannot be renewed counts as lost to its own holder before others may take it, so
/// that who was cut off stops by himself. Its work is to end when <see cref="RepositoryClaim{THolder}.Lost"/> is cancelled.
/// </remarks>
internal sealed class SiteLease : RepositoryClaim<LeaseHolder>
{
    private readonly string _site;

    private SiteLease(Repository repository, string site, LeaseHolder holder, bool breaks, IOperationObserver observer)
        : base(repository, RepositoryKeys.Leases(site), holder, LeaseJson.Default.LeaseHolder, breaks, observer) => _site = site;

    /// <inheritdoc/>
    protected override string Noun => "operation";

    /// <summary>Takes the lease and keeps it until disposed of.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="operation">What is done, as a command says it.</param>
    /// <param name="planId">The plan that is carried out; null where there is none.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Hears of leases that are void.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: another operation has it.</exception>
    public static Task<SiteLease> TakeAsync(
        Repository repository,
        string site,
        string operation,
        string? planId,
        SiteLeaseOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken) => TakeAsync(
            () => new SiteLease(repository, site, LeaseHolder.Create(operation, planId, options.Expiry), options.Break, observer),
            options.Interval,
            options.Patience,
            mayWait: false,
            cancellationToken);

    /// <summary>
    /// Who has the site's lease, for who only looks: without an own object there is no time of the store to compare with, so that clocks that differ by
    /// more than the expiry can make it wrong.
    /// </summary>
    public static async Task<IReadOnlyList<LeaseHolder>> ListHoldersAsync(Repository repository, string site, CancellationToken cancellationToken) =>
    [
        .. (await ListAsync(repository, RepositoryKeys.Leases(site), LeaseJson.Default.LeaseHolder, cancellationToken).ConfigureAwait(false))
            .Where(static sighting => !sighting.IsEnded && !sighting.Holder.IsSurelyDead() &&
                DateTimeOffset.UtcNow - sighting.LastSign < 2 * TimeSpan.FromSeconds(sighting.Holder.ExpiresAfterSeconds))
            .Select(static sighting => sighting.Holder),
    ];

    /// <inheritdoc/>
    protected override SmcException Refuse(LeaseHolder? holder, TimeSpan age) => new(
        SmcErrorCode.OperationInProgress,
        $"Another operation is at work on the site '{_site}'" +
            (holder is null
                ? ", and is just beginning."
                : $": {holder.Describe()}. Its last sign of life is {DisplayText.Duration(age)} old."),
        recommendation: "Let it end, or stop it there. " +
            (holder is { ExpiresAfterSeconds: var seconds }
                ? $"If it is gone, its lease ends {DisplayText.Duration(TimeSpan.FromSeconds(seconds))} after its last sign of life, and on its own " +
                    "host at once. "
                : "") +
            "To take the lease from one that cannot be reached, add -BreakLease (or --break-lease); it stops before its next step.",
        target: _site);

    /// <inheritdoc/>
    protected override SmcException RefuseUndecided(LeaseHolder holder) => Refuse(holder, TimeSpan.Zero);

    /// <inheritdoc/>
    protected override SmcException Taken() => new(
        SmcErrorCode.LeaseLost, $"Somebody else has taken the lease of the site '{_site}' from this operation.", target: _site);

    /// <inheritdoc/>
    protected override SmcException Silent(TimeSpan silence) => new(
        SmcErrorCode.LeaseLost,
        $"The lease of the site '{_site}' could not be renewed in {Repository.Location} for {DisplayText.Duration(silence)}. Somebody else may take it, so " +
            "this operation stops.",
        recommendation: "See to it that the repository can be written to from here, then run the command again: it goes on where it stopped.",
        target: _site);

    /// <inheritdoc/>
    protected override LeaseHolder Unknown() => new()
    {
        Host = "an unknown host",
        ProcessId = 0,
        Since = DateTimeOffset.UnixEpoch,
        ExpiresAfterSeconds = new SiteLeaseOptions().Expiry.TotalSeconds,
        User = "an unknown user",
        Operation = "an unknown operation",
    };

    /// <inheritdoc/>
    protected override string DescribeReplaced(LeaseHolder holder, TimeSpan age, bool isAlive) => isAlive
        ? $"The lease of {holder.Describe()} is broken. If that still runs, it stops before its next step; make sure that it does."
        : $"The lease of {holder.Describe()} is void: there was no sign of life for {DisplayText.Duration(age)}.";
}
