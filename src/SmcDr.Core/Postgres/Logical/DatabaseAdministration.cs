using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>Makes, renames, closes and drops databases.</summary>
internal sealed class DatabaseAdministration(PostgresConnector connector, NpgsqlConnection connection, IOperationObserver observer) : IAsyncDisposable
{
    private static readonly TimeSpan s_endOfSessions = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_sessionDelay = TimeSpan.FromMilliseconds(50);

    // Parameters whose values are lists of names (GUC_LIST_QUOTE): quoted as one text they would mean one strange name.
    private static readonly string[] s_lists =
        ["local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"];

    public static async Task<DatabaseAdministration> OpenAsync(
        PostgresConnector connector, string? except, IOperationObserver observer, CancellationToken cancellationToken) =>
        new(connector, await MaintenanceConnection.OpenAsync(connector, except, cancellationToken).ConfigureAwait(false), observer);

    public NpgsqlConnection Connection => connection;

    public ValueTask DisposeAsync() => connection.DisposeAsync();

    public async Task<bool> ExistsAsync(string database, CancellationToken cancellationToken) =>
        (await DatabaseCatalog.ReadNamesAsync(
            connection, "SELECT datname::pg_catalog.text FROM pg_catalog.pg_database WHERE datname = $1", cancellationToken, database).ConfigureAwait(false)).Count > 0;

    /// <summary>Makes an empty database as the backup's was: encoding, locale, owner.</summary>
    public Task CreateAsync(string name, LogicalDatabaseDetails like, bool withOwner, bool withTablespace, CancellationToken cancellationToken)
    {
        string provider = like.LocaleProvider;
        // template1 may hold something already; template0 never does (the manual's pg_dump page asks for it).
        string sql = $"CREATE DATABASE {Sql.Name(name)} TEMPLATE template0 ENCODING {Sql.Text(like.Encoding)} " +
            $"LOCALE_PROVIDER {provider} LC_COLLATE {Sql.Text(like.Collate)} LC_CTYPE {Sql.Text(like.CharacterType)}" +
            (like.Locale is null || provider == "libc" ? "" : provider == "icu" ? $" ICU_LOCALE {Sql.Text(like.Locale)}" : $" BUILTIN_LOCALE {Sql.Text(like.Locale)}") +
            (like.IcuRules is null ? "" : $" ICU_RULES {Sql.Text(like.IcuRules)}") +
            (withTablespace && like.Tablespace is not null ? $" TABLESPACE {Sql.Name(like.Tablespace)}" : "") +
            (withOwner ? $" OWNER {Sql.Name(like.Owner)}" : "");
        return RunAsync(sql, cancellationToken);
    }

    /// <summary>Gives a database what a dump does not carry: privileges, settings, comment, limit.</summary>
    public async Task ApplyPropertiesAsync(string name, LogicalDatabaseDetails like, bool withOwner, CancellationToken cancellationToken)
    {
        if (like.Comment is not null)
        {
            await RunAsync($"COMMENT ON DATABASE {Sql.Name(name)} IS {Sql.Text(like.Comment)}", cancellationToken).ConfigureAwait(false);
        }

        if (like.ConnectionLimit >= 0)
        {
            await RunAsync(
                FormattableString.Invariant($"ALTER DATABASE {Sql.Name(name)} CONNECTION LIMIT {like.ConnectionLimit}"), cancellationToken).ConfigureAwait(false);
        }

        if (like.Grants is not null && withOwner)
        {
            await RunAsync($"REVOKE ALL ON DATABASE {Sql.Name(name)} FROM PUBLIC", cancellationToken).ConfigureAwait(false);
            foreach (LogicalDatabaseGrant grant in like.Grants)
            {
                string privilege = grant.Privilege is "CONNECT" or "CREATE" or "TEMPORARY" ? grant.Privilege : throw new SmcException(
                    SmcErrorCode.ManifestInvalid, $"The backup names a privilege '{grant.Privilege}' that databases do not have.", target: name);
                string role = grant.Role is null ? "PUBLIC" : Sql.Name(grant.Role);
                string option = grant.CanGrant ? " WITH GRANT OPTION" : "";
                await RunAsync($"GRANT {privilege} ON DATABASE {Sql.Name(name)} TO {role}{option}", cancellationToken).ConfigureAwait(false);
            }
        }

        foreach (LogicalDatabaseSetting setting in like.Settings.Where(setting => withOwner || setting.Role is null))
        {
            try
            {
                await SetAsync(name, setting, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                // A parameter of an extension or of another version is no reason to lose the restore.
                observer.Warning($"The setting '{setting.Name}' of the database '{name}' was not restored: {e.Message}");
            }
        }
    }

    /// <summary>Lets nobody in any more, and ends the sessions that there are.</summary>
    public async Task<int> CloseAsync(string name, CancellationToken cancellationToken)
    {
        await RunAsync($"ALTER DATABASE {Sql.Name(name)} ALLOW_CONNECTIONS false", cancellationToken).ConfigureAwait(false);
        int ended = 0;
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_endOfSessions);
        while (true)
        {
            HashSet<string> sessions = await TranslateAsync(() => DatabaseCatalog.ReadNamesAsync(
                connection,
                """
                SELECT a.pid::pg_catalog.text, pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
                WHERE a.datname = $1 AND a.backend_type IN ('client backend', 'walsender')
                """,
                cancellationToken,
                name)).ConfigureAwait(false);
            if (sessions.Count == 0)
            {
                return ended;
            }

            ended = Math.Max(ended, sessions.Count);
            try
            {
                await Task.Delay(s_sessionDelay, limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new SmcException(
                    SmcErrorCode.OperationTimedOut,
                    $"{sessions.Count} sessions of the database '{name}' did not end within {s_endOfSessions.TotalSeconds:0} seconds.",
                    target: name);
            }
        }
    }

    public Task OpenForConnectionsAsync(string name, CancellationToken cancellationToken) =>
        RunAsync($"ALTER DATABASE {Sql.Name(name)} ALLOW_CONNECTIONS true", cancellationToken);

    public Task RenameAsync(string from, string to, CancellationToken cancellationToken) =>
        RunAsync($"ALTER DATABASE {Sql.Name(from)} RENAME TO {Sql.Name(to)}", cancellationToken);

    /// <summary>Puts one database in the place of another, both or neither.</summary>
    public async Task SwapAsync(string old, string oldsNewName, string replacement, CancellationToken cancellationToken)
    {
        await RunAsync(
            $"BEGIN; ALTER DATABASE {Sql.Name(old)} RENAME TO {Sql.Name(oldsNewName)}; " +
            $"ALTER DATABASE {Sql.Name(replacement)} RENAME TO {Sql.Name(old)}; COMMIT",
            cancellationToken).ConfigureAwait(false);
    }

    public Task DropAsync(string name, CancellationToken cancellationToken) =>
        RunAsync($"DROP DATABASE IF EXISTS {Sql.Name(name)} WITH (FORCE)", cancellationToken);

    /// <summary>Drops what an interrupted run left; refuses where somebody is at work in it.</summary>
    public async Task ClearLeftoverAsync(string name, CancellationToken cancellationToken)
    {
        HashSet<string> sessions = await TranslateAsync(() => DatabaseCatalog.ReadNamesAsync(
            connection,
            "SELECT pid::pg_catalog.text FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
            cancellationToken,
            name)).ConfigureAwait(false);
        if (sessions.Count > 0)
        {
            throw new SmcException(
                SmcErrorCode.OperationInProgress,
                $"Another restore is at work in the database '{name}' at {connector.Display}.",
                target: name);
        }

        if (await ExistsAsync(name, cancellationToken).ConfigureAwait(false))
        {
            observer.Warning($"The database '{name}', which an interrupted restore left, is dropped.");
            await DropAsync(name, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task SetAsync(string name, LogicalDatabaseSetting setting, CancellationToken cancellationToken)
    {
        string target = setting.Role is null
            ? $"ALTER DATABASE {Sql.Name(name)} SET {Parameter(setting.Name)}"
            : $"ALTER ROLE {Sql.Name(setting.Role)} IN DATABASE {Sql.Name(name)} SET {Parameter(setting.Name)}";
        if (!s_lists.Contains(setting.Name, StringComparer.OrdinalIgnoreCase))
        {
            await RunAsync($"{target} TO {Sql.Text(setting.Value)}", cancellationToken).ConfigureAwait(false);
            return;
        }

        // The stored text is what set_config takes; the server itself writes it back as it was.
        await RunAsync(
            $"BEGIN; SELECT pg_catalog.set_config({Sql.Text(setting.Name)}, {Sql.Text(setting.Value)}, true); {target} FROM CURRENT; COMMIT",
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A parameter's name; of an extension's, both parts are names.</summary>
    private static string Parameter(string name) => string.Join('.', name.Split('.').Select(Sql.Name));

    private Task<bool> RunAsync(string sql, CancellationToken cancellationToken) => TranslateAsync(async () =>
    {
        try
        {
            await DatabaseCatalog.ExecuteAsync(connection, sql, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (PostgresException) when (sql.StartsWith("BEGIN", StringComparison.Ordinal))
        {
            await DatabaseCatalog.ExecuteAsync(connection, "ROLLBACK", CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    });

    private async Task<T> TranslateAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.DiskFull)
        {
            throw new SmcException(SmcErrorCode.DiskSpaceInsufficient, $"PostgreSQL at {connector.Display} has no room left: {e.MessageText}.", e, target: connector.Display);
        }
        catch (NpgsqlException e)
        {
            throw connector.Translate(e);
        }
    }
}
