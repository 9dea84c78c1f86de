namespace SmcDr.Core.Sites;

/// <summary>The Redis server of a region.</summary>
public sealed record RedisSettings : ISiteRules
{
    [SiteKey("The server's host and port, such as redis:6379.", Kind = SiteValueKind.Endpoint)]
    public required string Endpoint { get; init; }

    [SiteKey("The user that connects, where the server has several.", Kind = SiteValueKind.Name)]
    public string? Username { get; init; }

    [SiteKey("The password.")]
    public SecretReference? Password { get; init; }

    [SiteKey("Whether the connection is encrypted. Certificate and name of the server are then always checked.")]
    public bool Tls { get; init; }

    [SiteKey("A PEM file with the authorities whose certificates are trusted; without it, those of this machine.", Kind = SiteValueKind.Path)]
    public string? CaFile { get; init; }

    [SiteKey("A PEM file with the certificate that the server asks its clients for.", Kind = SiteValueKind.Path)]
    public string? CertificateFile { get; init; }

    [SiteKey("A PEM file with the key of that certificate, where it is not in the same file.", Kind = SiteValueKind.Path)]
    public string? KeyFile { get; init; }

    [SiteKey("The name that the server's certificate is for, where it is not the host's, as behind a tunnel.", Kind = SiteValueKind.HostName)]
    public string? ServerName { get; init; }

    [SiteKey("What the server's rename-command made of commands, such as { CONFIG: x-config }; \"\" for one that it took away.",
        Kind = SiteValueKind.Command)]
    public IReadOnlyDictionary<string, string> RenamedCommands { get; init; } = new Dictionary<string, string>();

    [SiteKey("How the server is backed up: over replication from anywhere, or by its own file, which is then read on this host.")]
    public RedisBackupMethod Method { get; init; }

    [SiteKey("Whether a replica that is in step is backed up in the server's place, so that it is spared.")]
    public bool PreferReplica { get; init; }

    [SiteKey("The file that the server saves to, as this host sees it; without it, where the server says that it is.", Kind = SiteValueKind.Path)]
    public string? RdbPath { get; init; }

    [SiteKey("The data directory of a server on this host: what an offline restore replaces.", Kind = SiteValueKind.Path)]
    public string? DataDirectory { get; init; }

    [SiteKey("The configuration file that a server on this host is started with.", Kind = SiteValueKind.Path)]
    public string? ConfigFile { get; init; }

    [SiteKey("The service of systemd that a server on this host runs as, such as redis-server.", Kind = SiteValueKind.Service)]
    public string? Service { get; init; }

    [SiteKey("The directory of redis-server.", Kind = SiteValueKind.Path)]
    public string? BinDirectory { get; init; }

    [SiteKey("The account that the server runs as; without it, the owner of the data directory.", Kind = SiteValueKind.Name)]
    public string? OsUser { get; init; }

    [SiteKey("The workload in Kubernetes that Redis runs in.", Kind = SiteValueKind.Workload)]
    public string? Workload { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        (string Key, string? Value)[] encryption =
            [("caFile", CaFile), ("certificateFile", CertificateFile), ("keyFile", KeyFile), ("serverName", ServerName)];
        if (!Tls && encryption.FirstOrDefault(static key => key.Value is not null).Key is { } without)
        {
            yield return (without, "is for an encrypted connection, and 'tls: true' is not there");
        }

        if (KeyFile is not null && CertificateFile is null)
        {
            yield return ("keyFile", "is the key of a certificate, and certificateFile does not name one");
        }

        if (RenamedCommands.Keys.GroupBy(static name => name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(static same => same.Count() > 1) is { } twice)
        {
            yield return ("renamedCommands", $"names '{twice.Key}' twice, and commands know no upper and lower case");
        }

        if (PreferReplica && Method == RedisBackupMethod.BgSave)
        {
            yield return ("preferReplica", "is for the method replication; with bgSave the file of this very server is read");
        }

        if (Workload is not null)
        {
            (string Key, string? Value)[] host =
                [("dataDirectory", DataDirectory), ("configFile", ConfigFile), ("service", Service)];
            foreach ((string key, string? _) in host.Where(static key => key.Value is not null))
            {
                yield return (key, "is for a server on this host, and workload says that it runs in Kubernetes");
            }
        }
    }
}
