using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Dns;

/// <summary>Whether the application answers where the record leads now: a GET under the record's name to the new target, whatever resolvers still say.</summary>
internal static class DnsProbe
{
    private static readonly TimeSpan s_attemptTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    /// <summary>Probes until the status is the expected one, or the time is up.</summary>
    /// <param name="url">What is asked for. Host header, server name and certificate are by its host.</param>
    /// <param name="expectedStatus">The status that says that all is well.</param>
    /// <param name="targets">Addresses or a host name: what the record leads to.</param>
    /// <param name="patience">How long it is tried.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The last status, null where there was none; and what is wrong.</returns>
    public static async Task<(int? Status, string? Problem)> RunAsync(
        Uri url, int expectedStatus, IReadOnlyList<string> targets, TimeSpan patience, CancellationToken cancellationToken)
    {
        using HttpClient http = new(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            PooledConnectionLifetime = TimeSpan.Zero,
            ConnectCallback = (context, token) => ConnectAsync(targets, context.DnsEndPoint.Port, token),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            (int? status, string? problem) = await AttemptAsync(http, url, expectedStatus, targets, cancellationToken).ConfigureAwait(false);
            if (problem is null || TimeProvider.System.GetElapsedTime(start) + s_pause > patience)
            {
                return (status, problem);
            }

            await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<(int? Status, string? Problem)> AttemptAsync(
        HttpClient http, Uri url, int expectedStatus, IReadOnlyList<string> targets, CancellationToken cancellationToken)
    {
        string target = string.Join(", ", targets);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_attemptTime);
        try
        {
            using HttpResponseMessage response = await http
                .GetAsync(url, HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false);
            int status = (int)response.StatusCode;
            return (status, status == expectedStatus
                ? null
                : string.Create(CultureInfo.InvariantCulture, $"The application answers {status} at {target} for {url}, and {expectedStatus} is expected."));
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or SocketException)
        {
            return (null, $"The application does not answer at {target} for {url}: {(exception.InnerException ?? exception).Message.TrimEnd('.')}.");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, $"The application does not answer at {target} for {url} within {DisplayText.Duration(s_attemptTime)}.");
        }
    }

    private static async ValueTask<Stream> ConnectAsync(IReadOnlyList<string> targets, int port, CancellationToken cancellationToken)
    {
        SocketException? failure = null;
        foreach (string target in targets)
        {
            foreach (IPAddress address in await System.Net.Dns.GetHostAddressesAsync(target, cancellationToken).ConfigureAwait(false))
            {
                Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                try
                {
                    await socket.ConnectAsync(new IPEndPoint(address, port), cancellationToken).ConfigureAwait(false);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch (SocketException exception)
                {
                    socket.Dispose();
                    failure = exception;
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            }
        }

        throw failure ?? new SocketException((int)SocketError.HostNotFound);
    }
}
