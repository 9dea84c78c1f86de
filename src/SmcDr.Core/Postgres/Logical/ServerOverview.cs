using System.Globalization;
using Npgsql;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>What a dump or a restore must know of a server.</summary>
internal sealed record ServerOverview
{
    private const int OldestVersion = 150000;

    public required int VersionNumber { get; init; }

    public required string Version { get; init; }

    /// <summary>Null where the control file cannot be read.</summary>
    public required ulong? SystemId { get; init; }

    /// <summary>Whether the user may see the roles' passwords as they are stored.</summary>
    public required bool CanReadPasswords { get; init; }

    public required bool IsSuperuser { get; init; }

    public int Major => VersionNumber / 10000;

    public static async Task<ServerOverview> ReadAsync(
        PostgresConnector connector, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        string number = await DatabaseCatalog
            .ScalarAsync<string>(connection, "SELECT pg_catalog.current_setting('server_version_num')", cancellationToken).ConfigureAwait(false);
        string version = await DatabaseCatalog
            .ScalarAsync<string>(connection, "SELECT pg_catalog.current_setting('server_version')", cancellationToken).ConfigureAwait(false);
        ServerOverview overview = new()
        {
            VersionNumber = int.Parse(number, CultureInfo.InvariantCulture),
            Version = version.Split(' ')[0],
            SystemId = await TryReadSystemIdAsync(connection, cancellationToken).ConfigureAwait(false),
            CanReadPasswords = await DatabaseCatalog
                .ScalarAsync<bool>(connection, "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')", cancellationToken).ConfigureAwait(false),
            IsSuperuser = await DatabaseCatalog
                .ScalarAsync<bool>(connection, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", cancellationToken).ConfigureAwait(false),
        };
        return overview.VersionNumber >= OldestVersion
            ? overview
            : throw new SmcException(
                SmcErrorCode.VersionUnsupported, $"PostgreSQL at {connector.Display} is version {overview.Version}.", target: connector.Display);
    }

    private static async Task<ulong?> TryReadSystemIdAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            return (ulong)await DatabaseCatalog
                .ScalarAsync<long>(connection, "SELECT system_identifier FROM pg_catalog.pg_control_system()", cancellationToken).ConfigureAwait(false);
        }
        catch (PostgresException)
        {
            // Damaged, or closed to this role: a dump does not need it.
            return null;
        }
    }
}
