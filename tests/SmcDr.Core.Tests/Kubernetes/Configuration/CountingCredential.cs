using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>Another credential, asked once for each request: a test acts at the one that it chooses, whatever the time.</summary>
internal sealed class CountingCredential(ClusterCredential inner, Action<int>? onRequest = null) : ClusterCredential
{
    private int _requests;

    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Whether the server is given a token that it does not take, as one that has expired.</summary>
    public bool IsExpired { get; set; }

    public override string Display => inner.Display;

    public override string Recommendation => inner.Recommendation;

    public override ValueTask<ClientIdentity> GetAsync(ClientIdentity? refused, CancellationToken cancellationToken)
    {
        int number = Interlocked.Increment(ref _requests);
        onRequest?.Invoke(number);
        return IsExpired ? ValueTask.FromResult(new ClientIdentity("an-expired-token", null)) : inner.GetAsync(refused, cancellationToken);
    }
}
