using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>
/// Asks a running server what relations are called. Help that may fail: what it does not know, because it was dropped or rewritten since,
/// stays without a name.
/// </summary>
internal sealed class RelationNames : IAsyncDisposable
{
    private readonly PostgresConnector _connector;
    private readonly IOperationObserver _observer;
    private readonly Dictionary<uint, string> _databases;
    private readonly Dictionary<uint, NpgsqlConnection?> _connections = [];
    private readonly Dictionary<(uint Database, uint Oid), RelationName?> _byOid = [];
    private readonly Dictionary<(uint Database, uint File), RelationName?> _byFile = [];
    private readonly Dictionary<(uint Database, uint Schema), string?> _schemas = [];

    private RelationNames(PostgresConnector connector, IOperationObserver observer, Dictionary<uint, string> databases)
    {
        _connector = connector;
        _observer = observer;
        _databases = databases;
    }

    /// <summary>Connects; null, and a warning, where that fails or the server is one of another cluster.</summary>
    public static async Task<RelationNames?> OpenAsync(
        PostgresConnector connector, ulong systemId, IOperationObserver observer, CancellationToken cancellationToken)
    {
        const string Consequence = "Names are told only as far as the write-ahead log knows them.";
        try
        {
            NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                using NpgsqlCommand identity = new("SELECT system_identifier::text FROM pg_catalog.pg_control_system()", connection);
                string found = (string)(await identity.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
                if (found != systemId.ToString(CultureInfo.InvariantCulture))
                {
                    observer.Warning($"The server at {connector.Display} belongs to the database cluster {found} and not to {systemId}. {Consequence}");
                    return null;
                }

                Dictionary<uint, string> databases = [];
                using NpgsqlCommand command = new("SELECT oid, datname::text FROM pg_catalog.pg_database", connection);
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                    {
                        databases[reader.GetFieldValue<uint>(0)] = reader.GetString(1);
                    }
                }

                return new RelationNames(connector, observer, databases);
            }
        }
        catch (SmcException e)
        {
            observer.Warning($"{e.Message} {Consequence}");
            return null;
        }
        catch (NpgsqlException e)
        {
            observer.Warning($"{connector.Translate(e).Message} {Consequence}");
            return null;
        }
    }

    /// <summary>The name of a database; null where there is none any more.</summary>
    public string? Database(uint oid) => _databases.GetValueOrDefault(oid);

    /// <summary>The id of a database; null where there is none of that name.</summary>
    public uint? FindDatabase(string name) => _databases.FirstOrDefault(database => database.Value == name) is { Value: not null } found ? found.Key : null;

    public RelationName? ByOid(uint database, uint oid) => _byOid.GetValueOrDefault((database, oid));

    public RelationName? ByFile(uint database, uint file) => _byFile.GetValueOrDefault((database, file));

    public string? Schema(uint database, uint oid) => _schemas.GetValueOrDefault((database, oid));

    /// <summary>Asks for what is not known yet.</summary>
    public async Task LoadAsync(
        uint database, IReadOnlyCollection<uint> oids, IReadOnlyCollection<uint> files, IReadOnlyCollection<uint> schemas, CancellationToken cancellationToken)
    {
        uint[] newOids = [.. oids.Where(oid => !_byOid.ContainsKey((database, oid))).Distinct()];
        uint[] newFiles = [.. files.Where(file => !_byFile.ContainsKey((database, file))).Distinct()];
        uint[] newSchemas = [.. schemas.Where(schema => !_schemas.ContainsKey((database, schema))).Distinct()];
        if (newOids.Length + newFiles.Length + newSchemas.Length == 0 ||
            await ConnectAsync(database, cancellationToken).ConfigureAwait(false) is not { } connection)
        {
            return;
        }

        Array.ForEach(newOids, oid => _byOid[(database, oid)] = null);
        Array.ForEach(newFiles, file => _byFile[(database, file)] = null);
        Array.ForEach(newSchemas, schema => _schemas[(database, schema)] = null);
        try
        {
            using NpgsqlCommand command = new(
                """
                SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, COALESCE(pg_catalog.pg_relation_filenode(c.oid), 0)
                FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE c.oid = ANY($1) OR c.relfilenode = ANY($2)
                """,
                connection)
            {
                Parameters =
                {
                    new NpgsqlParameter { Value = newOids, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Oid },
                    new NpgsqlParameter { Value = newFiles, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Oid },
                },
            };
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    RelationName name = new(
                        reader.GetFieldValue<uint>(0), reader.GetString(1), reader.GetString(2), reader.GetString(3)[0], reader.GetFieldValue<uint>(4));
                    _byOid[(database, name.Oid)] = name;
                    _byFile[(database, name.File)] = name;
                }
            }

            if (newSchemas.Length > 0)
            {
                using NpgsqlCommand ask = new("SELECT oid, nspname::text FROM pg_catalog.pg_namespace WHERE oid = ANY($1)", connection)
                {
                    Parameters = { new NpgsqlParameter { Value = newSchemas, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Oid } },
                };
                NpgsqlDataReader rows = await ask.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (rows.ConfigureAwait(false))
                {
                    while (await rows.ReadAsync(cancellationToken).ConfigureAwait(false))
                    {
                        _schemas[(database, rows.GetFieldValue<uint>(0))] = rows.GetString(1);
                    }
                }
            }
        }
        catch (NpgsqlException e)
        {
            _observer.Warning($"{_connector.Translate(e).Message} Names of relations in the database '{Database(database)}' are missing.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (NpgsqlConnection? connection in _connections.Values)
        {
            if (connection is not null)
            {
                await connection.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task<NpgsqlConnection?> ConnectAsync(uint database, CancellationToken cancellationToken)
    {
        if (_connections.TryGetValue(database, out NpgsqlConnection? connection))
        {
            return connection;
        }

        if (Database(database) is { } name)
        {
            try
            {
                connection = await _connector.WithDatabase(name).OpenAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                _observer.Warning($"{e.Message} Names of relations in the database '{name}' are missing.");
            }
        }

        return _connections[database] = connection;
    }
}
