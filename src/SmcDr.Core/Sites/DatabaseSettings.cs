using System.Data.Common;
using Npgsql;

namespace SmcDr.Core.Sites;

/// <summary>The PostgreSQL database of a region.</summary>
public sealed record DatabaseSettings : ISiteRules
{
    [SiteKey("An Npgsql connection string without password, such as \"Host=db;Username=postgres;Database=orders\".",
        Kind = SiteValueKind.Connection)]
    public required string Connection { get; init; }

    [SiteKey("The user's password.")]
    public SecretReference? Password { get; init; }

    [SiteKey("The server's port, where the connection string does not name it.", Minimum = 1, Maximum = 65535)]
    public int? Port { get; init; }

    [SiteKey("A standby to take base backups from when that is asked for: an Npgsql connection string, of which only Host and Port are needed.",
        Kind = SiteValueKind.Connection)]
    public string? Standby { get; init; }

    [SiteKey("The replication slot that the WAL stream uses; without it, smcdr_ and the site's name.", Kind = SiteValueKind.Slot)]
    public string Slot { get; init; } = "";

    [SiteKey("The data directory of a server on this host: what a recovery replaces.", Kind = SiteValueKind.Path)]
    public string? DataDirectory { get; init; }

    [SiteKey("The directory of postgres, pg_ctl and the other programs; without it, the one of the server's version.",
        Kind = SiteValueKind.Path)]
    public string? BinDirectory { get; init; }

    [SiteKey("The account that the server runs as; without it, the owner of the data directory.", Kind = SiteValueKind.Name)]
    public string? OsUser { get; init; }

    [SiteKey("The workload in Kubernetes that the database runs in.", Kind = SiteValueKind.Workload)]
    public string? Workload { get; init; }

    /// <summary>The connection string with <see cref="Port"/> in it.</summary>
    public string GetConnectionString() => Port is { } port
        ? new NpgsqlConnectionStringBuilder(Connection) { Port = port }.ConnectionString
        : Connection;

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        // Npgsql's builder knows every key, so that it cannot say which were written.
        DbConnectionStringBuilder written = new() { ConnectionString = Connection };
        if (Port is { } port && written.ContainsKey("Port") && new NpgsqlConnectionStringBuilder(Connection).Port is var named && named != port)
        {
            yield return ("port", $"is {port}, and the connection string says {named}");
        }

        if (DataDirectory is not null && Workload is not null)
        {
            yield return ("dataDirectory", "is for a server on this host, and workload says that it runs in Kubernetes");
        }
    }
}
