using SmcDr.Core.Kubernetes;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>The way to a server on the loopback interface of one certain pod.</summary>
internal sealed class PodRoute(KubernetesClient client, PodTarget pod) : IServerRoute
{
    public string Display => $"the pod '{pod}'";

    public async Task<Stream?> ConnectAsync(string host, int port, CancellationToken cancellationToken) =>
        await client.ConnectAsync(pod, port, cancellationToken).ConfigureAwait(false);

    public Task<IRoutedPort?> ListenAsync(string host, int port, CancellationToken cancellationToken) =>
        Task.FromResult<IRoutedPort?>(client.Forward(pod, port));
}
