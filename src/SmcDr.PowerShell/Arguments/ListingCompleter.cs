using System.Collections;
using System.Collections.Concurrent;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>
/// The base of completers that must ask a repository or a server. The answer is waited for a moment and kept for a while; one that comes
/// later is there for the next press of the key.
/// </summary>
public abstract class ListingCompleter : SmcCompleter
{
    private static readonly TimeSpan s_listingLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_freshness = TimeSpan.FromSeconds(15);
    private static readonly ConcurrentDictionary<(Type Completer, string Path), Listing> s_listings = [];

    /// <inheritdoc/>
    protected sealed override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters)
    {
        ArgumentNullException.ThrowIfNull(boundParameters);
        string path = LocateSite(boundParameters["Site"]);
        Listing listing = s_listings.AddOrUpdate(
            (GetType(), path), Start, (key, known) => known.IsFresh ? known : Start(key));
        return Await(listing.Found) ?? [];
    }

    /// <summary>Asks. Nobody can be asked for a secret meanwhile, and what fails is nothing found.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives secrets of files and of the environment: a vault might ask for a password.</param>
    /// <param name="cancellationToken">Ends the work that nobody waits for any more.</param>
    private protected abstract Task<IReadOnlyList<(string Value, string ToolTip)>> ListAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken);

    /// <summary>How long ago something was, for a tooltip.</summary>
    private protected static string Age(DateTimeOffset time) => $"{DisplayText.Duration(DateTimeOffset.UtcNow - time)} old";

    private Listing Start((Type Completer, string Path) key) => new(
        Task.Run(async () =>
        {
            using CancellationTokenSource limit = new(s_listingLimit);
            return await ListAsync(SiteFile.Load(key.Path), new SecretResolver(), limit.Token).ConfigureAwait(false);
        }),
        Environment.TickCount64);

    private sealed record Listing(Task<IReadOnlyList<(string Value, string ToolTip)>> Found, long StartTime)
    {
        public bool IsFresh => TimeSpan.FromMilliseconds(Environment.TickCount64 - StartTime) < s_freshness;
    }
}
