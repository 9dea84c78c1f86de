using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Repositories;

/// <summary>Where everything lies in a repository.</summary>
public static partial class RepositoryKeys
{
    /// <summary>The document that makes a location a repository.</summary>
    public const string Root = "repository";

    /// <summary>The folder of the envelopes that hold the keys of an encrypted repository.</summary>
    public const string KeysFolder = "keys/";

    private const string PackPrefix = "pack-";

    /// <summary>The folder of a component's backups.</summary>
    public static string ComponentFolder(Component component) => component switch
    {
        Component.Database => "database",
        Component.Redis => "redis",
        Component.Configuration => "configuration",
        Component.FileStore => "filestore",
        _ => throw new ArgumentOutOfRangeException(nameof(component)),
    };

    /// <summary>The folder of a backup, with its final <c>/</c>.</summary>
    public static string Backup(Component component, string id) => $"{ComponentFolder(component)}/{ValidateId(id)}/";

    /// <summary>The claim with which a backup begins.</summary>
    public static string Started(Component component, string id) => Backup(component, id) + "started";

    public static string Pack(Component component, string id, int number) =>
        string.Create(CultureInfo.InvariantCulture, $"{Backup(component, id)}pack-{number:D6}");

    public static string Manifest(Component component, string id) => Backup(component, id) + "manifest";

    /// <summary>The marker without which a backup does not exist.</summary>
    public static string Complete(Component component, string id) => Backup(component, id) + "complete";

    /// <summary>The folder of what protects the backups of a component, with its final <c>/</c>.</summary>
    public static string Protections(Component component) => $"protections/{ComponentFolder(component)}/";

    /// <summary>The folder of what protects a backup, with its final <c>/</c>.</summary>
    public static string Protections(Component component, string id) => $"{Protections(component)}{ValidateId(id)}/";

    /// <summary>The folder of what deep verifications have found right, with its final <c>/</c>.</summary>
    public const string Verifications = "verifications/";

    /// <summary>The folder of the claims to be the one who changes a site, with its final <c>/</c>.</summary>
    public static string Leases(string site) => $"leases/{ValidateSite(site)}/";

    /// <summary>The folder of the fencing epochs of all sites, with its final <c>/</c>.</summary>
    public const string FencingFolder = "fencing/";

    /// <summary>The folder of a site's fencing epochs, with its final <c>/</c>.</summary>
    public static string Fencing(string site) => $"{FencingFolder}{ValidateSite(site)}/";

    /// <summary>The folder of the journals of a site's plans, with its final <c>/</c>.</summary>
    public static string Journals(string site) => $"journal/{ValidateSite(site)}/";

    /// <summary>The folder of the certificates of a site's tests of recovery, with its final <c>/</c>.</summary>
    public static string Certificates(string site) => $"certificates/{ValidateSite(site)}/";

    /// <summary>The folder of how long a site's recoveries took, with its final <c>/</c>.</summary>
    public static string Recoveries(string site) => $"recoveries/{ValidateSite(site)}/";

    /// <summary>The folder of a site's incidents, with its final <c>/</c>.</summary>
    public static string Incidents(string site) => $"incidents/{ValidateSite(site)}/";

    /// <summary>The folder of why a site's backups failed, with its final <c>/</c>.</summary>
    public static string Failures(string site) => $"failures/{ValidateSite(site)}/";

    /// <summary>The folder of a cluster's WAL, with its final <c>/</c>.</summary>
    public static string Wal(ulong systemId) => string.Create(CultureInfo.InvariantCulture, $"wal/{systemId}/");

    /// <summary>The folder of a timeline's WAL, with its final <c>/</c>.</summary>
    public static string Wal(ulong systemId, uint timeline) =>
        string.Create(CultureInfo.InvariantCulture, $"wal/{systemId}/{timeline:X8}/");

    /// <summary>The folder of a repository key, with its final <c>/</c>.</summary>
    internal static string Key(string keyId) => $"{KeysFolder}{keyId}/";

    /// <summary>The envelope that holds a repository key for one recipient.</summary>
    internal static string Recipient(string keyId, string name) => Key(keyId) + name;

    /// <summary>What is encrypted with a repository key to be recognized, and says of which one it follows.</summary>
    internal static string Canary(string keyId) => Key(keyId) + "canary";

    /// <summary>The folder of the notes of which envelopes were removed, with its final <c>/</c>.</summary>
    internal const string RemovalsFolder = "removals/";

    /// <summary>The note that an envelope was removed, by the digest of what it was.</summary>
    internal static string Removal(string keyId, string name, Hash256 envelope) => $"{RemovalsFolder}{keyId}/{name}-{envelope.ToString()[..16]}";

    /// <summary>A new id: the second in UTC, and the kind in small letters.</summary>
    public static string NewId(DateTimeOffset time, string kind) =>
        string.Create(CultureInfo.InvariantCulture, $"{time.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}-{kind.ToLowerInvariant()}");

    /// <summary>A new name that sorts by time: the second in UTC, and what keeps two of it apart.</summary>
    internal static string NewStamp(DateTimeOffset time) =>
        string.Create(CultureInfo.InvariantCulture, $"{time.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}-{Guid.NewGuid().ToString("N")[..8]}");

    /// <summary>The number of a pack by the last part of its key; false for what is no pack.</summary>
    public static bool TryParsePack(string name, out int number)
    {
        ArgumentNullException.ThrowIfNull(name);
        number = 0;
        return name.StartsWith(PackPrefix, StringComparison.Ordinal) && name.Length >= PackPrefix.Length + 6 &&
            int.TryParse(name.AsSpan(PackPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number) &&
            name == string.Create(CultureInfo.InvariantCulture, $"{PackPrefix}{number:D6}");
    }

    /// <summary>Whether a text has the form of a backup's id.</summary>
    public static bool IsId(string? text) => text is not null && IdPattern().IsMatch(text);

    private static string ValidateSite(string site) => site is not null && SitePattern().IsMatch(site)
        ? site
        : throw new ArgumentException($"'{site}' is not the name of a site.", nameof(site));

    private static string ValidateId(string id) => IsId(id)
        ? id
        : throw new SmcException(
            SmcErrorCode.BackupNotFound, $"'{id}' is not the id of a backup, such as 20261122T081500Z-full.", target: id);

    [GeneratedRegex(@"\A[0-9]{8}T[0-9]{6}Z-[a-z]{1,20}\z", RegexOptions.CultureInvariant)]
    private static partial Regex IdPattern();

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}\z", RegexOptions.CultureInvariant)]
    private static partial Regex SitePattern();
}
