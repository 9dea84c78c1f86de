using Npgsql;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Puts a stream into the server's <c>synchronous_standby_names</c> and takes it out, and leaves what others have put there as it means.
/// </summary>
public static class SynchronousSetting
{
    private const string Setting = "synchronous_standby_names";
    private static readonly TimeSpan s_reloadLimit = TimeSpan.FromSeconds(10);

    /// <summary>What is in force.</summary>
    public static async Task<SynchronousStandbys> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connection);
        using NpgsqlCommand command = new("SELECT pg_catalog.current_setting('synchronous_standby_names')", connection);
        return SynchronousStandbys.Parse((string)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!);
    }

    /// <summary>Makes sure that the stream can be added and taken out by this role, and that commits wait at all. Changes nothing.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PrivilegeMissing"/> or <see cref="SmcErrorCode.SettingUnsuitable"/>.</exception>
    public static async Task CheckAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connection);
        using NpgsqlCommand command = new(
            """
            SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('synchronous_commit'),
                pg_catalog.has_parameter_privilege('synchronous_standby_names', 'ALTER SYSTEM'),
                pg_catalog.has_function_privilege('pg_catalog.pg_reload_conf()', 'EXECUTE'),
                pg_catalog.quote_ident(current_user),
                COALESCE(pg_catalog.current_setting('allow_alter_system', true), 'on')
            """,
            connection);
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (reader.GetBoolean(0))
            {
                throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    "The server is a standby, and no commit of its primary can wait for a stream from it.",
                    recommendation: "Stream from the primary, or asynchronously.");
            }

            // Npgsql reports the server's position as written, so that remote_write would not wait for anything.
            if (reader.GetString(1) is not ("on" or "remote_apply") and var level)
            {
                throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    $"The setting synchronous_commit is '{level}', with which commits do not wait until their WAL is in the repository.",
                    recommendation: "Run: ALTER SYSTEM SET synchronous_commit = 'on'; SELECT pg_reload_conf();",
                    target: "synchronous_commit");
            }

            // The setting came with 17. Where it is off, commits could not be let go when the repository is away.
            if (reader.GetString(5) == "off")
            {
                throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    "The server has allow_alter_system = off, so that a stream can change synchronous_standby_names neither at its start nor when the repository is away.",
                    recommendation: "Set allow_alter_system = on by whatever manages the server's configuration, or stream asynchronously.",
                    target: "allow_alter_system");
            }

            if (!reader.GetBoolean(2) || !reader.GetBoolean(3))
            {
                string role = reader.GetString(4);
                throw new SmcException(
                    SmcErrorCode.PrivilegeMissing,
                    $"Role {role} may not change synchronous_standby_names, and could not let commits go on when the repository is away.",
                    recommendation: $"As a superuser, run: GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO {role}; " +
                        $"GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {role};",
                    target: role);
            }
        }

        _ = (await ReadAsync(connection, cancellationToken).ConfigureAwait(false)).With(name);
    }

    /// <summary>Lets commits wait for the stream. True where they did not before.</summary>
    public static async Task<bool> AddAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        SynchronousStandbys present = await ReadAsync(connection, cancellationToken).ConfigureAwait(false);
        SynchronousStandbys wanted = present.With(name);
        if (present.Contains(name))
        {
            return false;
        }

        await SetAsync(connection, wanted, cancellationToken).ConfigureAwait(false);
        return (await ReadAsync(connection, cancellationToken).ConfigureAwait(false)).Contains(name) ? true : throw Overridden();
    }

    /// <summary>Lets commits go on without the stream. True where they waited before.</summary>
    public static async Task<bool> RemoveAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        SynchronousStandbys present = await ReadAsync(connection, cancellationToken).ConfigureAwait(false);
        if (!present.Contains(name))
        {
            return false;
        }

        SynchronousStandbys wanted = present.Without(name);
        await SetAsync(connection, wanted, cancellationToken).ConfigureAwait(false);
        if (wanted.Names.Count == 0 && (await ReadAsync(connection, cancellationToken).ConfigureAwait(false)).Contains(name))
        {
            // postgresql.conf names it too.
            await ApplyAsync(connection, $"ALTER SYSTEM SET {Setting} = ''", cancellationToken).ConfigureAwait(false);
        }

        return !(await ReadAsync(connection, cancellationToken).ConfigureAwait(false)).Contains(name) ? true : throw Overridden();
    }

    private static Task SetAsync(NpgsqlConnection connection, SynchronousStandbys wanted, CancellationToken cancellationToken) => ApplyAsync(
        connection,
        wanted.Names.Count == 0
            ? $"ALTER SYSTEM RESET {Setting}"
            : $"ALTER SYSTEM SET {Setting} = '{wanted.ToString().Replace("'", "''", StringComparison.Ordinal)}'",
        cancellationToken);

    private static async Task ApplyAsync(NpgsqlConnection connection, string statement, CancellationToken cancellationToken)
    {
        // A literal may hold a backslash only as itself.
        using NpgsqlCommand before = new(
            "SELECT pg_catalog.pg_conf_load_time(), pg_catalog.set_config('standard_conforming_strings', 'on', false)", connection);
        DateTime loaded = (DateTime)(await before.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
        using NpgsqlCommand alter = new(statement, connection);
        await alter.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        using NpgsqlCommand reload = new("SELECT pg_catalog.pg_reload_conf()", connection);
        await reload.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);

        // The postmaster is only told; this session has the new value when it has read the files itself.
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_reloadLimit);
        using NpgsqlCommand after = new("SELECT pg_catalog.pg_conf_load_time()", connection);
        try
        {
            while ((DateTime)(await after.ExecuteScalarAsync(limit.Token).ConfigureAwait(false))! <= loaded)
            {
                await Task.Delay(10, limit.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.OperationTimedOut, $"The server did not read its configuration again within {s_reloadLimit.TotalSeconds:0} seconds.", e);
        }
    }

    private static SmcException Overridden() => new(
        SmcErrorCode.SettingUnsuitable,
        $"The setting {Setting} did not change: something else than postgresql.auto.conf decides, such as an option of the server's command line.",
        recommendation: "Take the setting out of the server's command line; then start the stream again.",
        target: Setting);
}
