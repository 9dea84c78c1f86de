namespace SmcDr.Core.Kubernetes;

/// <summary>Nobody in particular.</summary>
internal sealed class AnonymousCredential : ClusterCredential
{
    private AnonymousCredential()
    {
    }

    public static AnonymousCredential Instance { get; } = new();

    public override string Display => "no credentials";

    public override string Recommendation => "Give the context's user a token, a client certificate or an exec plugin in the kubeconfig.";

    public override ValueTask<ClientIdentity> GetAsync(ClientIdentity? refused, CancellationToken cancellationToken) =>
        ValueTask.FromResult(ClientIdentity.Anonymous);
}
