using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace SmcDr.Core.Kubernetes;

/// <summary>Carries requests to an API server: TLS, credentials, attempts. Safe for concurrent use.</summary>
internal sealed partial class ClusterTransport : IDisposable
{
    private const int MaximumErrorBody = 1 << 20;
    private static readonly ProductInfoHeaderValue s_userAgent = new(
        "smcdr", typeof(ClusterTransport).Assembly.GetName().Version?.ToString(3) ?? "0");

    private readonly KubernetesClientOptions _options;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private (SocketsHttpHandler Handler, ClientCertificate? Certificate)? _handler;
    private volatile string? _tlsFailure;
    private bool _disposed;

    public ClusterTransport(ClusterAccess access, KubernetesClientOptions options, TimeProvider time)
    {
        Access = access;
        _options = options;
        _time = time;
    }

    public ClusterAccess Access { get; }

    /// <summary>Sends a request and reads the whole answer.</summary>
    /// <exception cref="SmcException">The server cannot be reached, or answered with an error.</exception>
    public Task<byte[]> SendAsync(ApiRequest request, CancellationToken cancellationToken) => SendAsync(
        request,
        static (response, token) => response.Content.ReadAsByteArrayAsync(token),
        static response => response.Dispose(),
        cancellationToken);

    /// <summary>Sends a request and reads the whole answer, with its content type.</summary>
    public Task<(byte[] Body, string ContentType)> SendForContentAsync(ApiRequest request, CancellationToken cancellationToken) => SendAsync(
        request,
        static async (response, token) => (
            await response.Content.ReadAsByteArrayAsync(token).ConfigureAwait(false), response.Content.Headers.ContentType?.ToString() ?? ""),
        static response => response.Dispose(),
        cancellationToken);

    /// <summary>Sends a request whose answer is read as it comes; the time limit is over with its head.</summary>
    public Task<HttpResponseMessage> OpenAsync(ApiRequest request, CancellationToken cancellationToken) => SendAsync(
        request, static (response, _) => Task.FromResult(response), static _ => { }, cancellationToken);

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _handler?.Handler.Dispose();
            _handler = null;
        }
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage response, DateTimeOffset now) => response.Headers.RetryAfter switch
    {
        { Delta: TimeSpan delta } => delta,
        { Date: DateTimeOffset date } => date > now ? date - now : TimeSpan.Zero,
        _ => null,
    };

    private static async Task<byte[]> ReadBoundedAsync(HttpContent content, int maximum, CancellationToken cancellationToken)
    {
        using Stream stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        byte[] buffer = new byte[4096];
        int length = 0, read;
        while (length < maximum && (read = await stream.ReadAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false)) > 0)
        {
            length += read;
            if (length == buffer.Length)
            {
                Array.Resize(ref buffer, buffer.Length * 2);
            }
        }

        return buffer[..length];
    }

    private Uri AddressOf(ApiRequest request) =>
        new(Access.Server.GetLeftPart(UriPartial.Path).TrimEnd('/') + request.Path, UriKind.Absolute);

    private Task<T> SendAsync<T>(
        ApiRequest request,
        Func<HttpResponseMessage, CancellationToken, Task<T>> read,
        Action<HttpResponseMessage> done,
        CancellationToken cancellationToken)
        where T : notnull => AttemptAsync(
            request,
            async (identity, token) =>
            {
                using HttpRequestMessage message = new(request.Method, AddressOf(request));
                message.Headers.Accept.ParseAdd(request.Accept);
                Authorize(message, identity);
                if (request.Body is ReadOnlyMemory<byte> body)
                {
                    message.Content = new ReadOnlyMemoryContent(body);
                    message.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(request.ContentType);
                }

                using HttpMessageInvoker invoker = new(HandlerFor(identity), disposeHandler: false);
                HttpResponseMessage response = await invoker.SendAsync(message, token).ConfigureAwait(false);
                bool isKept = false;
                try
                {
                    if (!response.IsSuccessStatusCode)
                    {
                        byte[] error = await ReadBoundedAsync(response.Content, MaximumErrorBody, token).ConfigureAwait(false);
                        return (default, KubernetesErrors.StatusOf((int)response.StatusCode, error), RetryAfter(response, _time.GetUtcNow()));
                    }

                    T result = await read(response, token).ConfigureAwait(false);
                    isKept = true;
                    return (Result: (T?)result, Refused: default(KubernetesStatus), RetryAfter: default(TimeSpan?));
                }
                finally
                {
                    if (isKept)
                    {
                        done(response);
                    }
                    else
                    {
                        response.Dispose();
                    }
                }
            },
            cancellationToken);

    private async Task<T> AttemptAsync<T>(
        ApiRequest request,
        Func<ClientIdentity, CancellationToken, Task<(T? Result, KubernetesStatus? Refused, TimeSpan? RetryAfter)>> attempt,
        CancellationToken cancellationToken)
        where T : notnull
    {
        long start = _time.GetTimestamp();
        ClientIdentity? refused = null;
        for (int number = 0; ; number++)
        {
            ClientIdentity identity = await Access.Credential.GetAsync(refused, cancellationToken).ConfigureAwait(false);
            if (refused is not null && ReferenceEquals(identity, refused))
            {
                throw KubernetesErrors.Translate(Access, request, new KubernetesStatus { Status = "Failure", Code = 401, Reason = "Unauthorized" });
            }

            using CancellationTokenSource timer = new(_options.RequestTimeout, _time);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
            SmcException failure;
            TimeSpan? wait = null;
            bool mayRetry;
            try
            {
                (T? result, KubernetesStatus? status, wait) = await attempt(identity, either.Token).ConfigureAwait(false);
                if (status is null)
                {
                    return result!;
                }

                if (status.Code == 401 && refused is null)
                {
                    refused = identity;
                    continue;
                }

                wait ??= status.RetryAfterSeconds is int seconds ? TimeSpan.FromSeconds(seconds) : null;
                failure = KubernetesErrors.Translate(Access, request, status);
                // What is refused for being too much was not begun (API priority and fairness). A 5xx may have been, unless the server
                // itself says when to come again (client-go, rest/with_retry.go).
                mayRetry = status.Code == 429
                    || (failure.Code == SmcErrorCode.ClusterUnavailable && status.Code >= 500 && status.Code != 501
                        && (request.IsIdempotent || wait is not null));
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // The request's time is over, or the handler's for a connection, of which it says no more than this (SocketsHttpHandler.ConnectTimeout).
                bool wasSent = timer.IsCancellationRequested;
                failure = KubernetesErrors.TimedOut(Access, request, wasSent ? _options.RequestTimeout : _options.ConnectTimeout);
                mayRetry = request.IsIdempotent || !wasSent;
            }
            catch (HttpRequestException e)
            {
                bool isTls = e.HttpRequestError == HttpRequestError.SecureConnectionError || e.InnerException is AuthenticationException;
                bool neverSent = e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                    or HttpRequestError.ProxyTunnelError;
                // A certificate that is not trusted stays so; a handshake that the network cut does not.
                bool isPermanent = isTls && e.InnerException is AuthenticationException;
                failure = KubernetesErrors.Unreachable(Access, request, e, isTls ? TlsReason(e) : null);
                mayRetry = !isPermanent && (request.IsIdempotent || neverSent || isTls);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                failure = KubernetesErrors.Unreachable(Access, request, e, null);
                mayRetry = request.IsIdempotent;
            }
            catch (ObjectDisposedException) when (!_disposed)
            {
                // The credentials were renewed between the choice of the handler and its use.
                continue;
            }

            TimeSpan delay = wait ?? Backoff(number);
            if (!mayRetry || _time.GetElapsedTime(start) + delay > _options.RetryTime)
            {
                throw failure;
            }

            // Others wait for the same moment: spread.
            await Task.Delay(delay + TimeSpan.FromMilliseconds(Random.Shared.Next(0, 100)), _time, cancellationToken).ConfigureAwait(false);
        }
    }

    private TimeSpan Backoff(int number)
    {
        double longest = Math.Min(
            _options.MaximumRetryDelay.TotalMilliseconds, _options.RetryDelay.TotalMilliseconds * Math.Pow(2, Math.Min(number, 16)));
        return TimeSpan.FromMilliseconds(longest * (0.5 + (0.5 * Random.Shared.NextDouble())));
    }

    private void Authorize(HttpRequestMessage message, ClientIdentity identity)
    {
        message.Headers.UserAgent.Add(s_userAgent);
        if (identity.Token is not null)
        {
            if (Access.Server.Scheme == "http" && !Access.Server.IsLoopback)
            {
                throw new SmcException(
                    SmcErrorCode.KubeconfigInvalid,
                    $"The cluster '{Access.Display}' is addressed without TLS, and a token would be sent in clear.",
                    recommendation: "Give the server's https address in the kubeconfig.");
            }

            if (!message.Headers.TryAddWithoutValidation("Authorization", "Bearer " + identity.Token))
            {
                throw new SmcException(SmcErrorCode.KubeconfigInvalid, $"{Access.Credential.Display} holds what cannot be a token.");
            }
        }

        Access.Impersonation?.AddTo(message);
    }

    private SocketsHttpHandler HandlerFor(ClientIdentity identity)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_handler is var (handler, certificate))
            {
                if (ReferenceEquals(certificate, identity.Certificate))
                {
                    return handler;
                }

                // Connections keep the certificate that they were opened with. What is under way is not disturbed.
                handler.Dispose();
            }

            SocketsHttpHandler created = CreateHandler(identity.Certificate);
            _handler = (created, identity.Certificate);
            return created;
        }
    }

    private SocketsHttpHandler CreateHandler(ClientCertificate? certificate)
    {
        SocketsHttpHandler handler = new()
        {
            // A token follows no redirect to where it does not belong.
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.GZip,
            ConnectTimeout = _options.ConnectTimeout,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            SslOptions = TlsOptions(certificate, null),
        };
        if (Access.Proxy is not null)
        {
            string[] user = Access.Proxy.UserInfo.Split(':', 2);
            handler.Proxy = new WebProxy(new UriBuilder(Access.Proxy) { UserName = "", Password = "" }.Uri)
            {
                Credentials = Access.Proxy.UserInfo.Length == 0
                    ? null
                    : new NetworkCredential(Uri.UnescapeDataString(user[0]), user.Length > 1 ? Uri.UnescapeDataString(user[1]) : ""),
            };
        }
        else if (Access.Server.IsLoopback)
        {
            handler.UseProxy = false;
        }

        handler.ConnectCallback = async (context, token) =>
        {
            Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                // A machine that vanishes sends no farewell; a watch or a log would wait for ever.
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 30);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 10);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 4);
                await socket.ConnectAsync(context.DnsEndPoint, token).ConfigureAwait(false);
                NetworkStream network = new(socket, ownsSocket: true);
                bool isDirect = context.DnsEndPoint.Port == Access.Server.Port
                    && context.DnsEndPoint.Host.Equals(Access.Server.IdnHost, StringComparison.OrdinalIgnoreCase);
                if (Access.TlsServerName is null || Access.Server.Scheme != "https" || !isDirect)
                {
                    return network;
                }

                // The handler asks for the host of the address; a server that is found by name (SNI) must hear the other one.
                SslStream tls = new(network);
                await tls.AuthenticateAsClientAsync(TlsOptions(certificate, Access.TlsServerName), token).ConfigureAwait(false);
                return tls;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        };
        return handler;
    }

    private SslClientAuthenticationOptions TlsOptions(ClientCertificate? certificate, string? targetHost)
    {
        SslClientAuthenticationOptions options = new()
        {
            TargetHost = targetHost,
            ClientCertificateContext = certificate?.Context,
            RemoteCertificateValidationCallback = Validate,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        };
        if (Access.Authorities is not null)
        {
            X509ChainPolicy policy = new()
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
            policy.CustomTrustStore.AddRange(Access.Authorities);
            options.CertificateChainPolicy = policy;
        }

        return options;
    }

    private bool Validate(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (Access.SkipTlsVerify)
        {
            return true;
        }

        if (certificate is not X509Certificate2 server)
        {
            _tlsFailure = "it shows no certificate";
            return false;
        }

        string name = Access.TlsServerName ?? Access.Server.IdnHost.Trim('[', ']');
        if (Access.TlsServerName is not null)
        {
            errors &= ~SslPolicyErrors.RemoteCertificateNameMismatch;
            if (!server.MatchesHostname(name, allowWildcards: true, allowCommonName: false))
            {
                errors |= SslPolicyErrors.RemoteCertificateNameMismatch;
            }
        }

        // An authority in a kubeconfig may be one in the middle: Go trusts any certificate of the pool, .NET only one that signed itself.
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors) && Access.Authorities is X509Certificate2Collection authorities
            && chain is not null && chain.ChainStatus.All(static status => status.Status == X509ChainStatusFlags.PartialChain)
            && chain.ChainElements.Any(element => authorities.Any(each => each.RawDataMemory.Span.SequenceEqual(element.Certificate.RawDataMemory.Span))))
        {
            errors &= ~SslPolicyErrors.RemoteCertificateChainErrors;
        }

        if (errors == SslPolicyErrors.None)
        {
            return true;
        }

        DateTimeOffset end = new(server.NotAfter.ToUniversalTime(), TimeSpan.Zero);
        _tlsFailure = errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)
            ? $"its certificate is not for '{name}'"
            : end < _time.GetUtcNow()
                ? $"its certificate expired at {KubeText.Time(end)}"
                : Access.Authorities is null
                    ? "its certificate is by an authority that this machine does not trust, and the kubeconfig names none"
                    : "its certificate is not by the authority in the kubeconfig";
        return false;
    }

    private string TlsReason(HttpRequestException exception) => exception.InnerException is AuthenticationException && _tlsFailure is string reason
        ? reason
        : "TLS could not be agreed on (" + KubeText.Clean(exception.InnerException?.Message ?? exception.Message, 200) + ")";
}
