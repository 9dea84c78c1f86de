using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Redis;

/// <summary>Opens connections to one Redis server: the only place that sees the password.</summary>
public sealed class RedisConnector
{
    private const int DefaultPort = 6379;

    private readonly Func<CancellationToken, ValueTask<string?>>? _password;

    /// <summary>Creates the connector.</summary>
    /// <param name="endpoint">Host and port, such as <c>redis:6379</c> or <c>[::1]:6379</c>.</param>
    /// <param name="options">How connections are made.</param>
    /// <param name="password">Gives the password each time a connection is opened, so that a rotated one is seen.</param>
    public RedisConnector(
        string endpoint, RedisConnectorOptions? options = null, Func<CancellationToken, ValueTask<string?>>? password = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(endpoint);
        (Host, Port) = Parse(endpoint);
        Options = options ?? new RedisConnectorOptions();
        _password = password;
    }

    private RedisConnector(string host, int port, RedisConnectorOptions options, Func<CancellationToken, ValueTask<string?>>? password)
    {
        (Host, Port, Options, _password) = (host, port, options, password);
    }

    /// <summary>The host.</summary>
    public string Host { get; }

    /// <summary>The port.</summary>
    public int Port { get; }

    /// <summary>How connections are made.</summary>
    public RedisConnectorOptions Options { get; }

    /// <summary>Host and port for messages, without any secret.</summary>
    public string Display => string.Create(
        CultureInfo.InvariantCulture, $"{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}");

    /// <summary>The user for messages.</summary>
    internal string DisplayUser => Options.Username is { } user ? $"user '{user}'" : "the default user";

    /// <summary>Another server with the same user, password and encryption, such as a replica of this one.</summary>
    public RedisConnector WithEndpoint(string host, int port) => new(host, port, Options, _password);

    /// <summary>The same server as another user.</summary>
    /// <param name="username">The user; null = the server's default user.</param>
    /// <param name="password">Gives the password each time a connection is opened.</param>
    public RedisConnector WithUser(string? username, Func<CancellationToken, ValueTask<string?>>? password) =>
        new(Host, Port, Options with { Username = username }, password);

    /// <summary>Opens a connection in RESP3, or in RESP2 where the server knows no other.</summary>
    internal Task<RedisConnection> OpenAsync(CancellationToken cancellationToken) => OpenAsync(resp3: true, cancellationToken);

    /// <summary>Opens a connection.</summary>
    /// <param name="resp3">Whether RESP3 is tried.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal async Task<RedisConnection> OpenAsync(bool resp3, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Options.ConnectTimeout);
        Socket? socket = null;
        try
        {
            string? password = _password is null ? null : await _password(limit.Token).ConfigureAwait(false);
            Stream? stream = Options.Route is null ? null : await Options.Route.ConnectAsync(Host, Port, limit.Token).ConfigureAwait(false);
            if (stream is null)
            {
                socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                // A server whose machine is gone sends nothing more, not even an end.
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
                await socket.ConnectAsync(new DnsEndPoint(Host, Port), limit.Token).ConfigureAwait(false);
                stream = new NetworkStream(socket, ownsSocket: true);
            }

            if (Options.Tls is { } tls)
            {
                stream = await EncryptAsync(stream, tls, limit.Token).ConfigureAwait(false);
            }

            RedisConnection connection = new(stream, this);
            socket = null;
            try
            {
                await GreetAsync(connection, resp3, password, limit.Token).ConfigureAwait(false);
                return connection;
            }
            catch
            {
                await connection.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }
        catch (SmcException e) when (Options.Route is not null)
        {
            throw RouteErrors.Translate(e, $"Redis at {Display}");
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            throw new SmcException(
                SmcErrorCode.ServerUnavailable, $"Redis at {Display} cannot be reached: {e.Message}", e, TlsHint(), Display);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.ServerUnavailable,
                string.Create(CultureInfo.InvariantCulture, $"Redis at {Display} cannot be reached: it did not answer within {Options.ConnectTimeout.TotalSeconds:0.#} seconds."),
                recommendation: TlsHint(),
                target: Display);
        }
        finally
        {
            socket?.Dispose();
        }
    }

    /// <summary>The error for what went wrong on an open connection.</summary>
    internal SmcException Broken(Exception exception) => exception switch
    {
        SmcException already => already,
        InvalidDataException => new SmcException(
            SmcErrorCode.ServerUnavailable,
            $"What {Display} sends is not Redis's protocol: {exception.Message}",
            exception,
            "Check that host and port are those of a Redis server, and whether the port is one for TLS.",
            Display),
        EndOfStreamException => new SmcException(
            SmcErrorCode.ServerUnavailable, $"Redis at {Display} closed the connection.", exception, TlsHint(), Display),
        _ => new SmcException(
            SmcErrorCode.ServerUnavailable, $"The connection to Redis at {Display} broke: {exception.Message}", exception, TlsHint(), Display),
    };

    private static (string Host, int Port) Parse(string endpoint)
    {
        int colon = endpoint.LastIndexOf(':');
        string host = endpoint;
        int port = DefaultPort;
        if (colon >= 0 && !endpoint.EndsWith(']'))
        {
            host = endpoint[..colon];
            if (!int.TryParse(endpoint.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port))
            {
                port = 0;
            }
        }

        bool isBracketed = host.StartsWith('[') && host.EndsWith(']');
        if (isBracketed)
        {
            host = host[1..^1];
        }

        // Whoever writes redis://user:password@host must not see the password in a message.
        return port is > 0 and <= 65535 && host.Length > 0 && !host.AsSpan().ContainsAny("/@[] ") && (isBracketed || !host.Contains(':', StringComparison.Ordinal))
            ? (host, port)
            : throw new SmcException(
                SmcErrorCode.SiteInvalid,
                "The endpoint of Redis is not a host and a port.",
                recommendation: "Write the endpoint as host:port, such as redis:6379 or [::1]:6379, and user and password beside it.");
    }

    private string TlsHint() => Options.Tls is null
        ? "Check that the server runs and that host and port are right and reachable from here; a port for TLS answers nothing else (tls: true)."
        : "Check that the server runs, that the port is its TLS port (tls-port), and whether it asks for a client certificate (tls-auth-clients).";

    private async Task GreetAsync(RedisConnection connection, bool resp3, string? password, CancellationToken cancellationToken)
    {
        // A user without a password (nopass) is let in with any.
        password ??= Options.Username is null ? null : "";
        if (resp3 && connection.Knows("HELLO"))
        {
            // Also gives the connection a name, which CLIENT SETNAME would need a privilege for.
            RedisReply hello = await connection.TryExecuteAsync(
                password is null
                    ? new RedisCommand("HELLO", 3, "SETNAME", "smcdr")
                    : new RedisCommand("HELLO", 3, "AUTH", Options.Username ?? "default", password, "SETNAME", "smcdr"),
                cancellationToken).ConfigureAwait(false);
            if (!hello.IsError)
            {
                return;
            }

            // Redis 5 has no HELLO, and others in its protocol know no RESP3 or fewer options.
            if (RedisErrors.CodeOf(hello) is not ("ERR" or "NOPROTO" or "NOPERM") ||
                hello.Text.Contains("max number of clients", StringComparison.OrdinalIgnoreCase))
            {
                throw RedisErrors.Translate(hello, Display, DisplayUser, "HELLO");
            }
        }

        if (password is not null)
        {
            await connection.ExecuteAsync(
                Options.Username is null ? new RedisCommand("AUTH", password) : new RedisCommand("AUTH", Options.Username, password),
                cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<Stream> EncryptAsync(Stream stream, RedisTlsOptions options, CancellationToken cancellationToken)
    {
        string name = options.ServerName ?? Host;
        SslPolicyErrors found = SslPolicyErrors.None;
        string? reason = null;
        SslStream encrypted = new(stream, leaveInnerStreamOpen: false);
        try
        {
            await encrypted.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = name,
                    EnabledSslProtocols = SslProtocols.None,
                    // In a session that is resumed neither side sees the other's certificate, so what has changed since is not noticed.
                    AllowTlsResume = false,
                    ClientCertificateContext = ReadClientCertificate(options),
                    CertificateChainPolicy = ReadAuthorities(options),
                    RemoteCertificateValidationCallback = (_, _, chain, errors) =>
                    {
                        found = errors;
                        reason = chain?.ChainStatus.Select(static status => status.StatusInformation.Trim().TrimEnd('.')).FirstOrDefault();
                        return errors == SslPolicyErrors.None;
                    },
                },
                cancellationToken).ConfigureAwait(false);
            return encrypted;
        }
        catch (AuthenticationException e)
        {
            await encrypted.DisposeAsync().ConfigureAwait(false);
            throw found switch
            {
                SslPolicyErrors.None => new SmcException(
                    SmcErrorCode.ServerUnavailable, $"The connection to Redis at {Display} cannot be encrypted: {e.Message}", e, TlsHint(), Display),
                _ when found.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) => new SmcException(
                    SmcErrorCode.AuthenticationFailed,
                    $"The certificate of Redis at {Display} is not for '{name}'.",
                    e,
                    "Connect by the name that the certificate is for; do so, too, where the connection goes through a tunnel.",
                    Display),
                _ => new SmcException(
                    SmcErrorCode.AuthenticationFailed,
                    $"The certificate of Redis at {Display} is not trusted{(reason is null ? "" : ": " + reason)}.",
                    e,
                    "Name the file of the authority that issued the server's certificate, or renew the certificate where it has run out.",
                    Display),
            };
        }
        catch
        {
            await encrypted.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static X509ChainPolicy? ReadAuthorities(RedisTlsOptions options)
    {
        if (options.CaFile is not { } file)
        {
            return null;
        }

        X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(ReadCertificates(file, "of the certificate authorities"));
        return policy;
    }

    private static SslStreamCertificateContext? ReadClientCertificate(RedisTlsOptions options)
    {
        if (options.CertificateFile is not { } file)
        {
            return null;
        }

        X509Certificate2Collection chain = ReadCertificates(file, "of the client certificate");
        try
        {
            using X509Certificate2 certificate = X509Certificate2.CreateFromPemFile(file, options.KeyFile);
            // Windows does not use a key that lives in memory only.
            return SslStreamCertificateContext.Create(
                X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null), chain, offline: true);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            string key = options.KeyFile ?? file;
            throw new SmcException(
                SmcErrorCode.SecretUnavailable, $"The file '{key}' does not give the key of the client certificate: {e.Message}", e, target: key);
        }
    }

    private static X509Certificate2Collection ReadCertificates(string file, string what)
    {
        X509Certificate2Collection certificates = [];
        try
        {
            certificates.ImportFromPemFile(file);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new SmcException(SmcErrorCode.SecretUnavailable, $"The file '{file}' {what} cannot be read: {e.Message}", e, target: file);
        }

        return certificates.Count > 0
            ? certificates
            : throw new SmcException(
                SmcErrorCode.SecretUnavailable,
                $"The file '{file}' {what} holds no certificate.",
                recommendation: "Give a file in PEM form: text that has BEGIN CERTIFICATE in it.",
                target: file);
    }
}
