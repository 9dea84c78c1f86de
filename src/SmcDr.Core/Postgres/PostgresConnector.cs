using System.Net.Sockets;
using Npgsql;
using Npgsql.Replication;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Postgres;

/// <summary>Opens connections to one PostgreSQL server: the only place that sees the password.</summary>
public sealed class PostgresConnector
{
    private const int ReplicationBuffer = 256 << 10;

    private readonly NpgsqlConnectionStringBuilder _settings;
    private readonly Func<CancellationToken, ValueTask<string?>>? _password;
    private readonly IServerRoute? _route;

    /// <summary>Creates the connector.</summary>
    /// <param name="connectionString">An Npgsql connection string without password.</param>
    /// <param name="password">Gives the password each time a connection is opened, so that a rotated one is seen.</param>
    /// <param name="route">The way to the server, where it is not reached by its address.</param>
    public PostgresConnector(
        string connectionString, Func<CancellationToken, ValueTask<string?>>? password = null, IServerRoute? route = null)
    {
        try
        {
            _settings = new NpgsqlConnectionStringBuilder(connectionString);
        }
        catch (ArgumentException e)
        {
            throw new SmcException(SmcErrorCode.SiteInvalid, $"The connection string is not valid: {e.Message}", e);
        }

        if (_settings.Password is not null)
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                "The connection string holds a password.",
                recommendation: "Take the password out of the connection string and give a secret reference, such as password: env:PGPASSWORD.");
        }

        _settings.ApplicationName ??= "smcdr";
        // A search path that somebody else controls can put a function of theirs in front of ours (CVE-2018-1058).
        _settings.SearchPath = "";
        _settings.Pooling = false;
        _settings.IncludeErrorDetail = false;
        _settings.PersistSecurityInfo = false;
        if (_settings.Timeout == 0)
        {
            _settings.Timeout = 15;
        }

        _password = password;
        _route = route;
    }

    /// <summary>Host and port for messages, without any secret.</summary>
    public string Display => $"{_settings.Host}:{_settings.Port}";

    private string Server => $"PostgreSQL at {Display}";

    /// <summary>The user that connects.</summary>
    public string? Username => _settings.Username;

    /// <summary>The database that it connects to, where the connection string names one.</summary>
    public string? Database => _settings.Database;

    /// <summary>The same server with another database.</summary>
    public PostgresConnector WithDatabase(string database) =>
        new(new NpgsqlConnectionStringBuilder(_settings.ConnectionString) { Database = database }.ConnectionString, _password, _route);

    /// <summary>The same server and database as another user.</summary>
    /// <param name="username">The user.</param>
    /// <param name="password">Gives the password each time a connection is opened.</param>
    public PostgresConnector WithUser(string username, Func<CancellationToken, ValueTask<string?>>? password) =>
        new(new NpgsqlConnectionStringBuilder(_settings.ConnectionString) { Username = username }.ConnectionString, password, _route);

    /// <summary>The same, but no longer waiting for the server at the opening of a connection than this, in whole seconds.</summary>
    public PostgresConnector WithTimeout(TimeSpan timeout) => new(
        new NpgsqlConnectionStringBuilder(_settings.ConnectionString) { Timeout = Math.Max(1, (int)Math.Ceiling(timeout.TotalSeconds)) }.ConnectionString,
        _password,
        _route);

    /// <summary>Makes sure that something listens at the server's address, without a word to it. A server behind a route or a socket is not looked for.</summary>
    /// <param name="limit">How long the address may take.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">Nothing answers there (<see cref="SmcErrorCode.ServerUnavailable"/>).</exception>
    internal async Task ReachAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        // Lists of hosts, "host:port" and sockets, which the driver takes apart, are left to it.
        if (_route is not null || _settings.Host is not { Length: > 0 } host || Uri.CheckHostName(host) is UriHostNameType.Unknown)
        {
            return;
        }

        using CancellationTokenSource time = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        time.CancelAfter(limit);
        using TcpClient client = new();
        try
        {
            await client.ConnectAsync(host, _settings.Port, time.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw Translate(e);
        }
    }

    /// <summary>Opens an ordinary connection. Commands on it have no time limit of their own: the token is the limit.</summary>
    public async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        // Let go of once the connection is open, or is not: it closes with the connection.
        using IRoutedPort? port = await RouteAsync(cancellationToken).ConfigureAwait(false);
        NpgsqlConnection connection = new(await BuildAsync(port, cancellationToken).ConfigureAwait(false));
        try
        {
            await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
            // Npgsql leaves an empty search path unset, so it is set here, for the session.
            using NpgsqlCommand command = connection.CreateCommand();
            command.CommandTimeout = _settings.Timeout;
            command.CommandText =
                "SELECT pg_catalog.set_config('search_path', '', false), pg_catalog.set_config('statement_timeout', '0', false), " +
                "pg_catalog.set_config('lock_timeout', '0', false), pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false)";
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException or IOException)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw port?.LastFailure is { } closed ? RouteErrors.Translate(closed, Server) : Translate(e);
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Opens a physical replication connection.</summary>
    public Task<PhysicalReplicationConnection> OpenReplicationAsync(CancellationToken cancellationToken) =>
        OpenReplicationAsync(null, cancellationToken);

    /// <summary>Opens a physical replication connection by a name of its own, as <c>synchronous_standby_names</c> means it.</summary>
    internal async Task<PhysicalReplicationConnection> OpenReplicationAsync(string? applicationName, CancellationToken cancellationToken)
    {
        // A cancelled stream breaks its connection at once. Npgsql's polite way asks the server first, and where the server hears of it
        // before it hears START_REPLICATION the request is lost: the stream then hangs beyond wal_sender_timeout.
        using IRoutedPort? port = await RouteAsync(cancellationToken).ConfigureAwait(false);
        NpgsqlConnectionStringBuilder settings = new(await BuildAsync(port, cancellationToken).ConfigureAwait(false))
        {
            CancellationTimeout = -1,
            // One call of the system then takes what many commits have left, and not 8 KB.
            ReadBufferSize = ReplicationBuffer,
        };
        settings.ApplicationName = applicationName ?? settings.ApplicationName;
        PhysicalReplicationConnection connection = new(settings.ConnectionString);
        try
        {
            await connection.Open(cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException or IOException)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw port?.LastFailure is { } closed ? RouteErrors.Translate(closed, Server) : Translate(e);
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Turns what Npgsql throws into the error that says what to do about it.</summary>
    public SmcException Translate(Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return exception switch
        {
            SmcException already => already,
            PostgresException { SqlState: "28P01" or "28000" } e => new SmcException(
                SmcErrorCode.AuthenticationFailed, $"PostgreSQL at {Display} refuses user '{Username}': {e.MessageText}.", e, target: Display),
            PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } e => new SmcException(
                SmcErrorCode.PrivilegeMissing, $"User '{Username}' on {Display} lacks a privilege: {e.MessageText}.", e, target: Display),
            PostgresException { SqlState: PostgresErrorCodes.ObjectInUse } e => new SmcException(
                SmcErrorCode.SlotUnavailable, $"PostgreSQL at {Display} says: {e.MessageText}.", e, target: Display),
            // Class 08 connection exception, 57P01..03 shutting down or starting up, 53300 too many connections.
            PostgresException { SqlState: ['0', '8', ..] or "57P01" or "57P02" or "57P03" or "53300" } e => new SmcException(
                SmcErrorCode.ServerUnavailable, $"PostgreSQL at {Display} is not available: {e.MessageText}.", e, target: Display),
            PostgresException e => new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"PostgreSQL at {Display} refused a command: {e.MessageText} (SQLSTATE {e.SqlState}).",
                e,
                recommendation: "Read the server's message; where it names a setting or an object, correct that and run the command again.",
                target: Display),
            NpgsqlException e when e.Message.Contains("No password", StringComparison.OrdinalIgnoreCase) => new SmcException(
                SmcErrorCode.AuthenticationFailed, $"PostgreSQL at {Display} asks for a password and none was given.", e, target: Display),
            _ => new SmcException(
                SmcErrorCode.ServerUnavailable, $"PostgreSQL at {Display} cannot be reached: {exception.Message}", exception, target: Display),
        };
    }

    /// <summary>A port that leads to the server, for programs that connect themselves; null where its address does.</summary>
    internal async ValueTask<IRoutedPort?> RouteAsync(CancellationToken cancellationToken)
    {
        try
        {
            return _route is null ? null : await _route.ListenAsync(_settings.Host ?? "", _settings.Port, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e)
        {
            throw RouteErrors.Translate(e, Server);
        }
    }

    /// <summary>All settings, the password among them, for PostgreSQL's own programs.</summary>
    /// <param name="port">The port that leads to the server, as <see cref="RouteAsync"/> gave it.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal async ValueTask<NpgsqlConnectionStringBuilder> ResolveAsync(IRoutedPort? port, CancellationToken cancellationToken) =>
        new(await BuildAsync(port, cancellationToken).ConfigureAwait(false));

    private async ValueTask<string> BuildAsync(IRoutedPort? port, CancellationToken cancellationToken)
    {
        NpgsqlConnectionStringBuilder settings = new(_settings.ConnectionString) { CommandTimeout = 0 };
        if (port is not null)
        {
            settings.Host = "127.0.0.1";
            settings.Port = port.LocalPort;
            if (settings.SslMode == SslMode.VerifyFull)
            {
                // Who the other side is, the way there has made sure of; no certificate is for this host's port.
                settings.SslMode = SslMode.VerifyCA;
            }
        }

        if (_password is not null)
        {
            settings.Password = await _password(cancellationToken).ConfigureAwait(false);
        }

        return settings.ConnectionString;
    }
}
