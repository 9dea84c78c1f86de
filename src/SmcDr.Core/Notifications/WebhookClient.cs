using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Notifications;

/// <summary>Posts to an address that is a secret: nothing of it is in any message.</summary>
internal sealed partial class WebhookClient : IDisposable
{
    private const int MaximumReason = 256;

    private readonly Uri _address;
    private readonly AuthenticationHeaderValue? _authorization;
    private readonly CertificateRule _certificates;
    private readonly TimeProvider _clock;
    private readonly HttpClient _http;

    /// <exception cref="DeliveryException">The address is none that anything can be sent to.</exception>
    public WebhookClient(string address, string? authorization, string? authorityFile, TimeProvider clock)
    {
        if (!Uri.TryCreate(address.Trim(), UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("https" or "http"))
        {
            throw new DeliveryException("What the secret holds is not a URL.", mayPass: false, "Put the whole URL into the secret, with https:// in front.");
        }

        // The address is what protects the receiver, and whoever sees it can post.
        if (uri.Scheme == "http" && !uri.IsLoopback)
        {
            throw new DeliveryException(
                "The URL begins with http://, so that it would go over the network in clear, and with it the right to post.",
                mayPass: false,
                "Use the receiver's https:// address, or a proxy of it on this host.");
        }

        if (authorization is not null && !AuthenticationHeaderValue.TryParse(authorization.Trim(), out _authorization))
        {
            throw new DeliveryException(
                "What the secret for the header Authorization holds is none.", mayPass: false, "Put the whole value into the secret, such as: Bearer and the token.");
        }

        _address = uri;
        _certificates = new CertificateRule(authorityFile);
        _clock = clock;
        SocketsHttpHandler handler = new()
        {
            // A redirect would hand the message, and an Authorization, to somebody whom nobody named.
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            UseProxy = !uri.IsLoopback,
        };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, chain, errors) => _certificates.Accept(certificate, chain, errors);
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    public void Dispose() => _http.Dispose();

    /// <param name="content">What is posted as JSON; null = nothing, by GET.</param>
    /// <param name="idempotencyKey">The same in each attempt, so that a receiver that looks at it takes one for the other.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="DeliveryException">It was not taken.</exception>
    public async Task SendAsync(byte[]? content, Guid? idempotencyKey, CancellationToken cancellationToken)
    {
        using HttpRequestMessage request = new(content is null ? HttpMethod.Get : HttpMethod.Post, _address);
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("smcdr", null));
        request.Headers.Authorization = _authorization;
        if (content is not null)
        {
            request.Content = new ByteArrayContent(content);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json", "utf-8");
        }

        if (idempotencyKey is { } key)
        {
            request.Headers.Add("Idempotency-Key", key.ToString());
        }

        try
        {
            // It is taken once the receiver says so, however long the page that it says besides.
            using HttpResponseMessage response = await _http
                .SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
            {
                throw Refused(response, await ReadReasonAsync(response, cancellationToken).ConfigureAwait(false));
            }
        }
        catch (HttpRequestException e)
        {
            throw Unreachable(e);
        }
        catch (IOException)
        {
            throw new DeliveryException("The connection broke.", mayPass: true);
        }
    }

    private DeliveryException Refused(HttpResponseMessage response, string reason)
    {
        int status = (int)response.StatusCode;
        string message = FormattableString.Invariant($"The receiver answers {status}{reason}.");
        bool mayPass = status >= 500 || response.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or (HttpStatusCode)425;
        TimeSpan? after = mayPass ? RetryAfter(response) : null;
        return status is >= 300 and < 400
            ? new DeliveryException($"{message} A redirect is not followed.", mayPass: false, "Put the address that it leads to into the secret.")
            : new DeliveryException(
                message,
                mayPass,
                status is 401 or 403 or 404 or 410
                    ? "The address is not, or not any more, one that takes messages: make a new one at the receiver, and put it into the secret."
                    : null,
                after);
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        TimeSpan? after = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - _clock.GetUtcNow(),
            _ => null,
        };
        return after < TimeSpan.Zero ? TimeSpan.Zero : after;
    }

    /// <summary>A word that the receiver gives as a reason, such as Slack's <c>no_service</c>. Anything else could repeat what was sent.</summary>
    private static async Task<string> ReadReasonAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            Stream content = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            await using (content.ConfigureAwait(false))
            {
                byte[] buffer = new byte[MaximumReason + 1];
                int length = await content.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                string body = Encoding.UTF8.GetString(buffer.AsSpan(0, length)).Trim();
                return length <= MaximumReason && WordPattern().IsMatch(body) ? $" ({body})" : "";
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return "";
        }
    }

    /// <summary>In words of our own: the exception's message names the host.</summary>
    private DeliveryException Unreachable(HttpRequestException e)
    {
        if (_certificates.Refusal is not null)
        {
            return _certificates.Refused();
        }

        SocketError? error = e.InnerException is SocketException socket ? socket.SocketErrorCode : null;
        return e.HttpRequestError switch
        {
            HttpRequestError.NameResolutionError => new DeliveryException("The receiver's host name is not known here.", mayPass: true, "Check the secret, and the name servers of this host."),
            HttpRequestError.ConnectionError => new DeliveryException(
                $"The receiver's host does not take connections{(error is null ? "" : $" ({error})")}.", mayPass: true, "Check whether this host may reach the receiver."),
            HttpRequestError.SecureConnectionError => new DeliveryException(
                "No encrypted connection to the receiver comes about.", mayPass: true, "Check whether it speaks TLS at this port."),
            _ => new DeliveryException($"The receiver does not answer as it should ({e.HttpRequestError}).", mayPass: true),
        };
    }

    [GeneratedRegex(@"\A[a-z]+(_[a-z]+){0,6}\z", RegexOptions.CultureInvariant)]
    private static partial Regex WordPattern();
}
