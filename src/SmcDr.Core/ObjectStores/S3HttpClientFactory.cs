using System.Net;
using Amazon.Runtime;

namespace SmcDr.Core.ObjectStores;

/// <summary>
/// HTTP as object storage needs it. The SDK knows one timeout for all requests; a HEAD that hangs should fail in seconds and a part of
/// a gigabyte may take minutes, so each attempt here gets time by the size of its body.
/// </summary>
internal sealed class S3HttpClientFactory(TimeSpan silence) : HttpClientFactory
{
    /// <summary>A slower line than this cannot keep up with any database's log.</summary>
    private const long MinimumBytesPerSecond = 64 * 1024;

    /// <inheritdoc/>
    public override HttpClient CreateHttpClient(IClientConfig clientConfig)
    {
        SocketsHttpHandler handler = new()
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            // A failover by DNS is followed although connections are kept.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            UseCookies = false,
        };
        return new HttpClient(new AttemptTimeout(handler, silence)) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <inheritdoc/>
    public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;

    private sealed class AttemptTimeout(HttpMessageHandler inner, TimeSpan silence) : DelegatingHandler(inner)
    {
        protected override async Task<HttpResponseMessage> SendAsync(
            HttpRequestMessage request,
            CancellationToken cancellationToken)
        {
            TimeSpan patience = silence
                + TimeSpan.FromSeconds((request.Content?.Headers.ContentLength ?? 0) / MinimumBytesPerSecond);
            using CancellationTokenSource timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            timeout.CancelAfter(patience);
            try
            {
                return await base.SendAsync(request, timeout.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The SDK sends a request again after an IOException.
                throw new IOException(
                    string.Create(
                        System.Globalization.CultureInfo.InvariantCulture,
                        $"The server did not answer within {patience.TotalSeconds:0} s."),
                    exception);
            }
        }
    }
}
