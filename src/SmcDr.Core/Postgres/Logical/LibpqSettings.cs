using System.Globalization;
using Npgsql;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>The settings of a connection as libpq knows them: what PostgreSQL's own programs, and a standby, connect by. Never the password.</summary>
internal static class LibpqSettings
{
    /// <summary>Keyword, environment variable and value of all that is set.</summary>
    public static IEnumerable<(string Keyword, string Variable, string Value)> From(NpgsqlConnectionStringBuilder settings)
    {
        (string hosts, string ports) = Hosts(settings);
        (string Keyword, string Variable, string? Value)[] all =
        [
            ("host", "PGHOST", hosts),
            ("port", "PGPORT", ports),
            ("user", "PGUSER", settings.Username),
            ("application_name", "PGAPPNAME", settings.ApplicationName),
            ("sslmode", "PGSSLMODE", settings.SslMode switch
            {
                SslMode.Disable => "disable",
                SslMode.Allow => "allow",
                SslMode.Require => "require",
                SslMode.VerifyCA => "verify-ca",
                SslMode.VerifyFull => "verify-full",
                _ => "prefer",
            }),
            ("sslrootcert", "PGSSLROOTCERT", settings.RootCertificate),
            ("sslcert", "PGSSLCERT", settings.SslCertificate),
            ("sslkey", "PGSSLKEY", settings.SslKey),
            ("options", "PGOPTIONS", settings.Options),
            ("connect_timeout", "PGCONNECT_TIMEOUT", settings.Timeout.ToString(CultureInfo.InvariantCulture)),
        ];
        foreach ((string keyword, string variable, string? value) in all)
        {
            if (value is { Length: > 0 })
            {
                yield return (keyword, variable, value);
            }
        }
    }

    /// <summary>A keyword and its value as they stand in a connection string of libpq.</summary>
    public static string Keyword(string keyword, string value) =>
        $"{keyword}='{value.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("'", @"\'", StringComparison.Ordinal)}'";

    /// <summary>
    /// The line of a password file. Its four fields match any host, port, database and user: whoever is given the file is told one of each.
    /// </summary>
    public static string PasswordLine(string password) =>
        "*:*:*:*:" + password.Replace(@"\", @"\\", StringComparison.Ordinal).Replace(":", @"\:", StringComparison.Ordinal) + "\n";

    private static (string Hosts, string Ports) Hosts(NpgsqlConnectionStringBuilder settings)
    {
        List<string> hosts = [];
        List<string> ports = [];
        foreach (string part in (settings.Host ?? "localhost").Split(','))
        {
            int colon = part.LastIndexOf(':');
            // An address of IPv6 has colons of its own, and a port behind brackets only.
            bool hasPort = colon > 0 && (part.IndexOf(':', StringComparison.Ordinal) == colon || part[colon - 1] == ']') && !part.StartsWith('/');
            hosts.Add((hasPort ? part[..colon] : part).Trim('[', ']', ' '));
            ports.Add(hasPort ? part[(colon + 1)..] : settings.Port.ToString(CultureInfo.InvariantCulture));
        }

        return (string.Join(',', hosts), string.Join(',', ports));
    }
}
