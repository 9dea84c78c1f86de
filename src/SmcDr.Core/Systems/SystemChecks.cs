using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems;

/// <summary>
/// Whether a system does what it is there for: cluster, workloads, database, Redis, the queries and URLs that the site names, and its backups. Changes
/// nothing, but for one key of its own in Redis, which is removed again.
/// </summary>
public sealed class SystemChecks
{
    private static readonly TimeSpan s_requestTime = TimeSpan.FromSeconds(10);

    private readonly Site _site;
    private readonly SecretResolver _secrets;
    private readonly TimeProvider _clock;

    /// <summary>Creates the checks of the primary region.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives passwords and keys.</param>
    /// <param name="clock">Measures how long each takes.</param>
    public SystemChecks(Site site, SecretResolver secrets, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        (_site, _secrets, _clock) = (site, secrets, clock ?? TimeProvider.System);
    }

    /// <summary>Runs the checks and gives each result as it is found.</summary>
    /// <param name="components">Of what; empty = all. URLs are asked only where all is checked, since they need all of it.</param>
    /// <param name="includeBackups">Whether it is looked at whether backups and WAL are recent.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async IAsyncEnumerable<CheckResult> RunAsync(
        IReadOnlyCollection<Component> components, bool includeBackups, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(components);
        bool IsMeant(Component component) => components.Count == 0 || components.Contains(component);
        RegionSettings region = _site.PrimaryRegion;
        if (region.Kubernetes is { } kubernetes && IsMeant(Component.Configuration))
        {
            await foreach (CheckResult result in new ClusterHealth(_site, kubernetes, _clock).RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        if (region.Database is not null && IsMeant(Component.Database))
        {
            await foreach (CheckResult result in new DatabaseHealth(_site, _secrets, _clock).RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        if (region.Redis is not null && IsMeant(Component.Redis))
        {
            await foreach (CheckResult result in new RedisHealth(_site, _secrets, _clock).RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        if (components.Count == 0)
        {
            using HttpClient http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { Timeout = Timeout.InfiniteTimeSpan };
            foreach (string url in _site.Checks.Http)
            {
                yield return await new CheckRun(url, _clock).CheckAsync("Http", () => AskAsync(http, url, cancellationToken)).ConfigureAwait(false);
            }
        }

        if (includeBackups)
        {
            await foreach (CheckResult result in new BackupHealth(_site, _secrets, _clock).RunAsync(components, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }
    }

    /// <summary>The failure that results come to, or null where none failed.</summary>
    /// <param name="site">The site's name.</param>
    /// <param name="results">What the checks found.</param>
    public static SmcException? FindFailure(string site, IReadOnlyCollection<CheckResult> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        CheckResult[] failed = [.. results.Where(static result => result.Outcome == CheckOutcomes.Failed)];
        return failed.Length == 0 ? null : new SmcException(
            SmcErrorCode.VerificationFailed,
            string.Create(CultureInfo.InvariantCulture, $"{failed.Length} of {results.Count} checks of the system '{site}' failed: ") +
                string.Join(' ', failed.Select(static result => $"{result.Name} ({result.Target}): {result.Message}")),
            recommendation: failed[0].Recommendation ?? "Run Test-SmcSystem (or 'smcdr system test') to see them one by one.",
            target: failed[0].Target);
    }

    private static async Task<CheckFinding> AskAsync(HttpClient http, string url, CancellationToken cancellationToken)
    {
        const string Recommendation = "Look at the application's log; where it is well, at what leads to it: Service, Ingress, DNS, certificate.";
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_requestTime);
        try
        {
            using HttpResponseMessage response = await http
                .GetAsync(new Uri(url), HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false);
            string answer = string.Create(CultureInfo.InvariantCulture, $"It answers {(int)response.StatusCode}.");
            return response.IsSuccessStatusCode ? CheckFinding.Passed(answer) : CheckFinding.Failed(answer, Recommendation);
        }
        catch (HttpRequestException e)
        {
            return CheckFinding.Failed($"It does not answer: {e.Message}", Recommendation);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return CheckFinding.Failed($"It did not answer within {DisplayText.Duration(s_requestTime)}.", Recommendation);
        }
    }
}
