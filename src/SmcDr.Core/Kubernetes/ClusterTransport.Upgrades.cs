using System.Net;
using System.Net.WebSockets;

namespace SmcDr.Core.Kubernetes;

internal sealed partial class ClusterTransport
{
    /// <summary>Opens a WebSocket.</summary>
    /// <param name="request">What for; a path with its query.</param>
    /// <param name="protocols">The protocols that are understood, the preferred one first.</param>
    public async Task<WebSocket> ConnectAsync(ApiRequest request, IReadOnlyList<string> protocols, CancellationToken cancellationToken)
    {
        Uri uri = new UriBuilder(AddressOf(request)) { Scheme = Access.Server.Scheme == "http" ? "ws" : "wss" }.Uri;
        return await AttemptAsync(
            request,
            async (identity, token) =>
            {
                ClientWebSocket socket = new();
                using HttpMessageInvoker shared = new(HandlerFor(identity), disposeHandler: false);
                using UpgradeHandler handler = new(shared, message => Authorize(message, identity));
                using HttpMessageInvoker invoker = new(handler, disposeHandler: false);
                try
                {
                    foreach (string protocol in protocols)
                    {
                        socket.Options.AddSubProtocol(protocol);
                    }

                    // Proxies and load balancers forget connections that are silent, some after a minute. Only pongs that nobody asked for are
                    // sent: a server that waits for a pod to take its input does not read, and would not answer a ping in time.
                    socket.Options.KeepAliveInterval = TimeSpan.FromSeconds(20);
                    await socket.ConnectAsync(uri, invoker, token).ConfigureAwait(false);
                    if (socket.SubProtocol is null || !protocols.Contains(socket.SubProtocol))
                    {
                        throw new SmcException(
                            SmcErrorCode.ClusterUnavailable,
                            $"The API server of '{Access.Display}' chose no protocol for {request.Verb} on {request.Display}.",
                            recommendation: "A proxy between here and the cluster seems to alter WebSocket connections: let them through as they are.",
                            target: request.Target);
                    }

                    return (Result: (WebSocket?)socket, Refused: default(KubernetesStatus), RetryAfter: default(TimeSpan?));
                }
                catch (WebSocketException e)
                {
                    socket.Dispose();
                    if (handler.Refusal is var (code, body, retryAfter))
                    {
                        return (null, KubernetesErrors.StatusOf(code, body), retryAfter);
                    }

                    throw e.InnerException as HttpRequestException ?? new HttpRequestException(e.Message, e);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Turns the connection of a request into one of another protocol.</summary>
    /// <param name="request">What for; a path with its query.</param>
    /// <param name="protocol">The protocol.</param>
    /// <param name="header">A header that is sent, and comes back with the same value.</param>
    /// <returns>The answer, whose content is the connection; null where the server does not do it, for whatever reason.</returns>
    public async Task<HttpResponseMessage?> UpgradeAsync(
        ApiRequest request, string protocol, (string Name, string Value) header, CancellationToken cancellationToken)
    {
        HttpResponseMessage answer = await AttemptAsync(
            request,
            async (identity, token) =>
            {
                using HttpRequestMessage message = new(request.Method, AddressOf(request));
                message.Headers.Connection.Add("Upgrade");
                message.Headers.Upgrade.ParseAdd(protocol);
                message.Headers.TryAddWithoutValidation(header.Name, header.Value);
                Authorize(message, identity);
                using HttpMessageInvoker invoker = new(HandlerFor(identity), disposeHandler: false);
                HttpResponseMessage response = await invoker.SendAsync(message, token).ConfigureAwait(false);
                if (response.StatusCode is not (HttpStatusCode.Unauthorized or HttpStatusCode.TooManyRequests))
                {
                    return (Result: (HttpResponseMessage?)response, Refused: default(KubernetesStatus), RetryAfter: default(TimeSpan?));
                }

                response.Dispose();
                return (null, KubernetesErrors.StatusOf((int)response.StatusCode, []), RetryAfter(response, _time.GetUtcNow()));
            },
            cancellationToken).ConfigureAwait(false);
        if (answer.StatusCode == HttpStatusCode.SwitchingProtocols && answer.Headers.TryGetValues(header.Name, out IEnumerable<string>? values)
            && values.Contains(header.Value))
        {
            return answer;
        }

        answer.Dispose();
        return null;
    }

    /// <summary>
    /// Keeps the answer to an upgrade that was refused: a WebSocket tells its number only, and the reason is in the body. Headers are added here,
    /// since a WebSocket's own options take one value of a name, and a user may act for several groups.
    /// </summary>
    private sealed class UpgradeHandler(HttpMessageInvoker inner, Action<HttpRequestMessage> authorize) : HttpMessageHandler
    {
        public (int Code, byte[] Body, TimeSpan? RetryAfter)? Refusal { get; private set; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            authorize(request);
            HttpResponseMessage response = await inner.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (response.StatusCode != HttpStatusCode.SwitchingProtocols)
            {
                Refusal = (
                    (int)response.StatusCode,
                    await ReadBoundedAsync(response.Content, 64 << 10, cancellationToken).ConfigureAwait(false),
                    RetryAfter(response, DateTimeOffset.UtcNow));
            }

            return response;
        }
    }
}
