using System.Runtime.CompilerServices;
using SmcDr.Core.Dns;
using SmcDr.Core.Encryption;
using SmcDr.Core.Notifications;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>
/// Whether a site is as it must be before it is relied on: repository, channels of alerts, primary database, spill directory, Redis and DNS. Looks and measures; nothing is
/// changed on a server, and in the repository one small object is written and removed again.
/// </summary>
public sealed class SiteChecks
{
    private readonly Site _site;
    private readonly SecretResolver _secrets;
    private readonly Func<string, IObjectStore> _openStore;
    private readonly TimeProvider _clock;
    private readonly Route53Options _route53;

    /// <summary>Creates the checks.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives passwords and keys.</param>
    /// <param name="openStore">Opens the object store of a location.</param>
    /// <param name="clock">What the server's clock is compared with.</param>
    public SiteChecks(Site site, SecretResolver secrets, Func<string, IObjectStore> openStore, TimeProvider? clock = null)
        : this(site, secrets, openStore, clock, new Route53Options())
    {
    }

    internal SiteChecks(Site site, SecretResolver secrets, Func<string, IObjectStore> openStore, TimeProvider? clock, Route53Options route53)
    {
        _site = site;
        _secrets = secrets;
        _openStore = openStore;
        _clock = clock ?? TimeProvider.System;
        _route53 = route53;
    }

    /// <summary>Runs the checks one after the other and gives each result as it is found.</summary>
    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (string location in _site.Repository.Copies.Prepend(_site.Repository.Location))
        {
            bool isCopy = location != _site.Repository.Location;
            RepositoryChecks repository = new(
                location,
                copyOf: isCopy ? _site.Repository.Location : null,
                isLocking: !isCopy && _site.Repository.Retention?.Lock is not null,
                _openStore,
                _clock);
            await foreach (CheckResult result in repository.RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        yield return await new CheckRun(_site.Repository.Location, _clock).CheckAsync(
            "RepositoryEncryption", () => CheckEncryptionAsync(cancellationToken)).ConfigureAwait(false);

        foreach (CheckResult result in await CheckNotificationsAsync(cancellationToken).ConfigureAwait(false))
        {
            yield return result;
        }

        RegionSettings region = _site.PrimaryRegion;
        if (region.Database is null)
        {
            yield return new CheckRun(region.Name, _clock).Skip(
                "DatabaseConnection", $"The primary region '{region.Name}' has no database in the site file.");
        }
        else
        {
            DatabaseChecks database = new(region, region.Database, _secrets, _clock);
            await foreach (CheckResult result in database.RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        if (_site.WalStream.SpillDirectory is { } spill)
        {
            yield return await new SpillChecks(_site, spill, _clock).RunAsync().ConfigureAwait(false);
        }

        if (region.Redis is not null)
        {
            RedisChecks redis = new(region, region.Redis, _secrets, _clock);
            await foreach (CheckResult result in redis.RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        if (_site.Dns is not null)
        {
            await foreach (CheckResult result in new DnsChecks(_site, _route53, _clock).RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }
    }

    /// <summary>Whether whom the site names could be told: their secrets are there, and have the form that they must have. Nobody is.</summary>
    private async Task<IReadOnlyList<CheckResult>> CheckNotificationsAsync(CancellationToken cancellationToken)
    {
        AlertSender sender = new(_site, _secrets, NullObserver.Instance);
        List<CheckResult> results = [];
        foreach ((string name, NotificationSettings settings) in AlertSender.NamesOf(_site).Zip(_site.Notifications))
        {
            results.Add(await CheckAsync(name, () => sender.CheckAsync(settings, cancellationToken)).ConfigureAwait(false));
        }

        if (_site.Alerts.HeartbeatUrl is { } heartbeat)
        {
            results.Add(await CheckAsync("heartbeat", () => sender.CheckAsync(heartbeat, cancellationToken)).ConfigureAwait(false));
        }

        return results;

        Task<CheckResult> CheckAsync(string name, Func<Task<(string Problem, string? Recommendation)?>> find) => new CheckRun(name, _clock).CheckAsync(
            "Notification",
            async () => await find().ConfigureAwait(false) is { } found
                ? CheckFinding.Failed(found.Problem, found.Recommendation ?? "Correct the secret, or the channel in the site file.")
                : CheckFinding.Passed("What it takes is there. Whether anybody receives it shows 'Send-SmcAlert' (or 'smcdr alert send') alone."));
    }

    private async Task<CheckFinding> CheckEncryptionAsync(CancellationToken cancellationToken)
    {
        using RepositoryKeySource? key = await _site.ResolveForgetfulKeyAsync(_secrets, cancellationToken).ConfigureAwait(false);
        IObjectStore store = _openStore(_site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            Repository repository;
            try
            {
                // Opens the canary, so that the key is proven and not only there.
                repository = await Repository.OpenAsync(store, key, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.RepositoryNotFound)
            {
                return key is null
                    ? NotEncrypted()
                    : CheckFinding.Passed("The key is there; the first backup creates the repository, encrypted.");
            }

            return key is null ? NotEncrypted() : await CheckRecipientsAsync(repository, key, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<CheckFinding> CheckRecipientsAsync(
        Repository repository, RepositoryKeySource key, CancellationToken cancellationToken)
    {
        List<string> problems = [];
        IReadOnlyList<RepositoryKeyInfo> envelopes = await RepositoryRecipients.ListAsync(
            repository.RawStore, key, problems.Add, cancellationToken).ConfigureAwait(false);
        int keys = envelopes.Select(static envelope => envelope.KeyId).Distinct().Count();
        string[] recipients =
        [
            .. envelopes.GroupBy(static envelope => envelope.Name)
                .Select(static group => $"'{group.Key}' ({group.First().Kind}{(group.Any(static e => e.Opens == true) ? ", this site's" : "")})"),
        ];
        string message = recipients.Length == 1
            ? $"The repository is encrypted and opens with the site's key. It has one recipient, {recipients[0]}: without it the backups are lost."
            : $"The repository is encrypted and opens with the site's key. It has {recipients.Length} recipients: {string.Join(", ", recipients)}.";
        string[] partial =
        [
            .. envelopes.GroupBy(static envelope => envelope.Name).Where(group => group.Count() < keys).Select(static group => $"'{group.Key}'"),
        ];
        return problems.Count > 0
            ? CheckFinding.Warning($"{message} {problems[0]}", "Find out what changes objects in the repository, and take the object from a copy.")
            : partial.Length > 0
                ? CheckFinding.Warning(
                    $"{message} Not all of its {keys} keys open with {string.Join(", ", partial)}.",
                    "Add those recipients again under the same names with New-SmcRepositoryKey (or smcdr key add).")
                : CheckFinding.Passed(message);
    }

    private static CheckFinding NotEncrypted() => CheckFinding.Warning(
        "Backups are not encrypted: whoever can read the repository can read the database.",
        "For a new repository, make a key with New-SmcRepositoryKey (or smcdr key new) and name it by repository.encryptionKey. For this one, let only "
        + "the accounts that back up and restore read it, and turn on the storage's own encryption.");
}
