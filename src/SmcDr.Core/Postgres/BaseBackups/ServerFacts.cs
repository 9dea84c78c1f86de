using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Preparation;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What a backup must know of a server before it begins, and the reasons for which it would not begin.</summary>
internal sealed record ServerFacts
{
    private const int OldestVersion = 150000;
    private const int FirstUnknownVersion = 190000;

    /// <summary>Settings that are recorded with the backup: what recovery must not go below, and what explains it.</summary>
    private static readonly string[] s_recorded =
    [
        "archive_mode", "data_checksums", "fsync", "full_page_writes", "max_connections", "max_locks_per_transaction", "shared_buffers",
        "max_prepared_transactions", "max_wal_senders", "max_worker_processes", "server_encoding", "shared_preload_libraries",
        "track_commit_timestamp", "wal_level", "wal_log_hints",
    ];

    /// <summary>Settings that name files, which may lie outside the data directory.</summary>
    private static readonly string[] s_files =
    [
        "config_file", "hba_file", "ident_file", "ssl_ca_file", "ssl_cert_file", "ssl_crl_dir", "ssl_crl_file", "ssl_dh_params_file",
        "ssl_key_file", "krb_server_keyfile",
    ];

    private static readonly string[] s_sizes =
        ["block_size", "data_directory", "data_directory_mode", "segment_size", "server_version", "wal_block_size", "wal_segment_size"];

    public required int VersionNumber { get; init; }

    public required string Version { get; init; }

    public required ulong SystemId { get; init; }

    public required int CatalogVersion { get; init; }

    public required string DataDirectory { get; init; }

    public required bool IsStandby { get; init; }

    /// <summary>Which of the servers of one cluster it is: primary and standbys have the same files with other times.</summary>
    public required string ServerKey { get; init; }

    public required int DirectoryMode { get; init; }

    public required int BlockSize { get; init; }

    public required int WalBlockSize { get; init; }

    public required int WalSegmentSize { get; init; }

    public required int RelationSegmentBlocks { get; init; }

    public required bool DataChecksums { get; init; }

    /// <summary>The private key's path, where it lies in the data directory: the server wants its mode narrow.</summary>
    public required string? KeyFileInside { get; init; }

    /// <summary>Whether the backup can receive WAL itself.</summary>
    public required bool CanReplicate { get; init; }

    public required IReadOnlyList<string> OutsideFiles { get; init; }

    public required IReadOnlyDictionary<string, string> Settings { get; init; }

    public required IReadOnlyDictionary<string, string> CollationVersions { get; init; }

    public required IReadOnlyDictionary<string, string> CollationLibraries { get; init; }

    /// <summary>The mode of files, as initdb gives it by the mode of the directory.</summary>
    public int FileMode => DirectoryMode & 0x1B6;

    /// <summary>The directory in a tablespace that belongs to this version: <c>PG_15_202209061</c>.</summary>
    public string TablespaceVersionDirectory =>
        string.Create(CultureInfo.InvariantCulture, $"PG_{VersionNumber / 10000}_{CatalogVersion}");

    /// <summary>Reads the facts and throws where no backup can be taken.</summary>
    public static async Task<ServerFacts> ReadAsync(
        PostgresConnector connector, NpgsqlConnection connection, IOperationObserver observer, CancellationToken cancellationToken)
    {
        int version = int.Parse(
            await ScalarAsync<string>(connection, "SELECT pg_catalog.current_setting('server_version_num')", cancellationToken)
                .ConfigureAwait(false),
            CultureInfo.InvariantCulture);
        if (version is < OldestVersion or >= FirstUnknownVersion)
        {
            throw new SmcException(
                SmcErrorCode.VersionUnsupported,
                $"PostgreSQL at {connector.Display} is version {connection.PostgreSqlVersion}; base backups are taken from versions 15 to 18.",
                target: connector.Display);
        }

        bool isStandby = await ScalarAsync<bool>(connection, "SELECT pg_catalog.pg_is_in_recovery()", cancellationToken).ConfigureAwait(false);
        if (isStandby)
        {
            observer.Verbose($"PostgreSQL at {connector.Display} is a standby; the backup is taken from it.");
        }

        bool canReplicate = await CheckPrivilegesAsync(connector, connection, version / 10000, cancellationToken).ConfigureAwait(false);
        Dictionary<string, string> settings = await ReadSettingsAsync(connection, cancellationToken).ConfigureAwait(false);
        if (settings["wal_level"] == "minimal")
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"PostgreSQL at {connector.Display} has wal_level = minimal: its WAL does not suffice to recover a base backup.",
                recommendation: "Set wal_level = replica and restart the server.",
                target: connector.Display);
        }

        Warn(settings, observer);
        (ulong systemId, int catalogVersion) = await ReadControlAsync(connection, cancellationToken).ConfigureAwait(false);
        (IReadOnlyDictionary<string, string> collations, IReadOnlyDictionary<string, string> libraries) =
            await ReadCollationsAsync(connection, cancellationToken).ConfigureAwait(false);
        string dataDirectory = settings["data_directory"];
        string? key = settings["ssl_key_file"] is { Length: > 0 } file && settings["ssl"] == "on" ? Inside(dataDirectory, file) : null;
        return new ServerFacts
        {
            VersionNumber = version,
            Version = settings["server_version"],
            SystemId = systemId,
            CatalogVersion = catalogVersion,
            DataDirectory = dataDirectory,
            IsStandby = isStandby,
            ServerKey = await ReadServerKeyAsync(connection, dataDirectory, cancellationToken).ConfigureAwait(false),
            DirectoryMode = Convert.ToInt32(settings["data_directory_mode"], 8),
            BlockSize = Number(settings["block_size"]),
            WalBlockSize = Number(settings["wal_block_size"]),
            WalSegmentSize = Number(settings["wal_segment_size"]),
            RelationSegmentBlocks = Number(settings["segment_size"]),
            DataChecksums = settings["data_checksums"] == "on",
            KeyFileInside = key,
            CanReplicate = canReplicate,
            OutsideFiles = await ReadOutsideFilesAsync(connection, settings, dataDirectory, cancellationToken).ConfigureAwait(false),
            Settings = s_recorded.Where(settings.ContainsKey).ToDictionary(static name => name, name => settings[name]),
            CollationVersions = collations,
            CollationLibraries = libraries,
        };
    }

    /// <summary>The path below the data directory, or null for one that lies outside.</summary>
    public static string? Inside(string dataDirectory, string path) =>
        !path.StartsWith('/') ? path
        : path.StartsWith(dataDirectory.TrimEnd('/') + "/", StringComparison.Ordinal) ? path[(dataDirectory.TrimEnd('/').Length + 1)..]
        : null;

    internal static async Task<T> ScalarAsync<T>(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(sql, connection);
        await using (command.ConfigureAwait(false))
        {
            return (T)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
        }
    }

    private static async Task<bool> CheckPrivilegesAsync(
        PostgresConnector connector, NpgsqlConnection connection, int major, CancellationToken cancellationToken)
    {
        string role;
        string database;
        bool canReplicate;
        List<string> missing = [];
        NpgsqlCommand command = new(
            """
            SELECT r.rolname::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text, r.rolsuper OR r.rolreplication,
                   pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE'),
                   ARRAY(SELECT f FROM pg_catalog.unnest($1) AS f WHERE NOT pg_catalog.has_function_privilege(f, 'EXECUTE'))
            FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) current_user
            """,
            connection)
        {
            Parameters = { new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text, Value = BackupPrivileges.Functions.ToArray() } },
        };
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                role = reader.GetString(0);
                database = reader.GetString(1);
                canReplicate = reader.GetBoolean(2);
                string grantee = new NpgsqlCommandBuilder().QuoteIdentifier(role);
                if (!reader.GetBoolean(3))
                {
                    missing.Add(BackupPrivileges.GrantMembership(grantee, major));
                }

                if (reader.GetFieldValue<string[]>(4) is { Length: > 0 } functions)
                {
                    missing.Add($"GRANT EXECUTE ON FUNCTION {string.Join(", ", functions)} TO {grantee}");
                }
            }
        }

        return missing.Count == 0
            ? canReplicate
            : throw new SmcException(
                SmcErrorCode.PrivilegeMissing,
                $"Role '{role}' on {connector.Display} may not take base backups; missing: {string.Join("; ", missing)}.",
                recommendation: $"As a superuser, run in database '{database}': {string.Join("; ", missing)};",
                target: role);
    }

    private static async Task<Dictionary<string, string>> ReadSettingsAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        Dictionary<string, string> result = new(StringComparer.Ordinal);
        NpgsqlCommand command = new(
            "SELECT s.name, s.setting FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) ANY ($1) AND s.setting IS NOT NULL",
            connection)
        {
            Parameters =
            {
                new NpgsqlParameter
                {
                    NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
                    Value = s_recorded.Concat(s_files).Concat(s_sizes).Append("ssl").ToArray(),
                },
            },
        };
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    result.Add(reader.GetString(0), reader.GetString(1));
                }
            }
        }

        return result;
    }

    private static void Warn(Dictionary<string, string> settings, IOperationObserver observer)
    {
        // Neither stands in the way: while a backup runs the server forces full-page images (do_pg_backup_start), and what fsync
        // risks is the server itself. But whoever restores should know.
        if (settings["fsync"] == "off")
        {
            observer.Warning("The server has fsync = off: a crash of its machine may corrupt it, and backups taken later with it.");
        }

        if (settings["full_page_writes"] == "off")
        {
            observer.Warning("The server has full_page_writes = off: a crash of its machine may leave torn pages, also in later backups.");
        }

        if (settings["data_checksums"] != "on")
        {
            observer.Warning("The server has no data checksums: damaged pages cannot be told from sound ones in this backup.");
        }
    }

    /// <summary>
    /// What tells a data directory from a copy of it: the server's address, and when the status of PG_VERSION changed, which no program can set
    /// and every copy by files changes. A copy of the whole file system has the same times, and another address.
    /// </summary>
    private static async Task<string> ReadServerKeyAsync(
        NpgsqlConnection connection, string dataDirectory, CancellationToken cancellationToken)
    {
        string place = await ScalarAsync<string>(
            connection,
            """
            SELECT pg_catalog.concat_ws(
                ' ',
                COALESCE(pg_catalog.host(pg_catalog.inet_server_addr()), 'local'),
                EXTRACT(epoch FROM f.change)::pg_catalog.int8)
            FROM pg_catalog.pg_stat_file('PG_VERSION', false) AS f
            """,
            cancellationToken).ConfigureAwait(false);
        return $"{place} {dataDirectory}";
    }

    private static async Task<(ulong SystemId, int CatalogVersion)> ReadControlAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new("SELECT system_identifier, catalog_version_no FROM pg_catalog.pg_control_system()", connection);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                // An unsigned number that SQL shows as a signed one.
                return (unchecked((ulong)reader.GetInt64(0)), reader.GetInt32(1));
            }
        }
    }

    private static async Task<IReadOnlyList<string>> ReadOutsideFilesAsync(
        NpgsqlConnection connection, Dictionary<string, string> settings, string dataDirectory, CancellationToken cancellationToken)
    {
        SortedSet<string> result = new(StringComparer.Ordinal);
        foreach (string name in s_files)
        {
            if (settings.TryGetValue(name, out string? path) && path.Length > 0 && Inside(dataDirectory, path) is null)
            {
                result.Add(path);
            }
        }

        // Files that configuration files include.
        NpgsqlCommand command = new(
            "SELECT DISTINCT s.sourcefile FROM pg_catalog.pg_settings s WHERE s.sourcefile IS NOT NULL", connection);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    if (Inside(dataDirectory, reader.GetString(0)) is null)
                    {
                        result.Add(reader.GetString(0));
                    }
                }
            }
        }

        return [.. result];
    }

    private static async Task<(IReadOnlyDictionary<string, string> Recorded, IReadOnlyDictionary<string, string> Libraries)> ReadCollationsAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        Dictionary<string, string> recorded = new(StringComparer.Ordinal);
        Dictionary<string, string> libraries = new(StringComparer.Ordinal);
        NpgsqlCommand command = new(
            """
            SELECT d.datname::pg_catalog.text, d.datlocprovider::pg_catalog.text, d.datcollate::pg_catalog.text, d.datcollversion,
                pg_catalog.pg_database_collation_actual_version(d.oid)
            FROM pg_catalog.pg_database d
            """,
            connection);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    string database = reader.GetString(0);
                    string provider = CollationComparison.ProviderName(reader.GetString(1));
                    string version = reader.IsDBNull(3) ? "" : " " + reader.GetString(3);
                    recorded.Add(database, $"{provider} {reader.GetString(2)}{version}");
                    if (!await reader.IsDBNullAsync(4, cancellationToken).ConfigureAwait(false))
                    {
                        libraries.Add(database, $"{provider} {reader.GetString(4)}");
                    }
                }
            }
        }

        return (recorded, libraries);
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
