using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Sites;

/// <summary>
/// Whether a site is as it must be before it is relied on: repository and primary database. Looks and measures; nothing is
/// changed on a server, and in the repository one small object is written and removed again.
/// </summary>
public sealed class SiteChecks
{
    private readonly Site _site;
    private readonly SecretResolver _secrets;
    private readonly Func<string, IObjectStore> _openStore;
    private readonly TimeProvider _clock;

    /// <summary>Creates the checks.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives passwords and keys.</param>
    /// <param name="openStore">Opens the object store of a location.</param>
    /// <param name="clock">What the server's clock is compared with.</param>
    public SiteChecks(Site site, SecretResolver secrets, Func<string, IObjectStore> openStore, TimeProvider? clock = null)
    {
        _site = site;
        _secrets = secrets;
        _openStore = openStore;
        _clock = clock ?? TimeProvider.System;
    }

    /// <summary>Runs the checks one after the other and gives each result as it is found.</summary>
    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (string location in _site.Repository.Copies.Prepend(_site.Repository.Location))
        {
            RepositoryChecks repository = new(location, _openStore, _clock);
            await foreach (CheckResult result in repository.RunAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        yield return await new CheckRun(_site.Repository.Location, _clock).CheckAsync(
            "RepositoryEncryption", () => Task.FromResult(CheckEncryption())).ConfigureAwait(false);

        if (UnusedSettings() is { Count: > 0 } unused)
        {
            yield return await new CheckRun(_site.Name, _clock).CheckAsync(
                "UnusedSettings",
                () => Task.FromResult(CheckFinding.Warning(
                    $"This version reads these settings and does nothing by them: {string.Join(", ", unused)}.",
                    "Do not rely on them: make copies, and remove what is too old, by other means."))).ConfigureAwait(false);
        }

        RegionSettings region = _site.PrimaryRegion;
        if (region.Database is null)
        {
            yield return new CheckRun(region.Name, _clock).Skip(
                "DatabaseConnection", $"The primary region '{region.Name}' has no database in the site file.");
            yield break;
        }

        DatabaseChecks database = new(region.Name, region.Database, _secrets, _clock);
        await foreach (CheckResult result in database.RunAsync(cancellationToken).ConfigureAwait(false))
        {
            yield return result;
        }
    }

    /// <summary>What an operator could believe to be in force, because the site file says so.</summary>
    private List<string> UnusedSettings()
    {
        List<string> names = [];
        if (_site.Repository.Copies.Count > 0)
        {
            names.Add("repository.copies");
        }

        if (_site.Notifications.Count > 0)
        {
            names.Add("notifications");
        }

        return names;
    }

    private CheckFinding CheckEncryption() => _site.Repository.EncryptionKey is null
        ? CheckFinding.Warning(
            "Backups are not encrypted: whoever can read the repository can read the database.",
            "Let only the accounts that back up and restore read the repository, and turn on the storage's own encryption.")
        : CheckFinding.Failed(
            "repository.encryptionKey asks for encrypted backups, and this version does not encrypt; backups are refused.",
            "Remove repository.encryptionKey, and protect the storage by its own encryption and access rules.");
}
