namespace SmcDr.Core.Kubernetes;

/// <summary>Where the proof of who the client is comes from. Safe for concurrent use.</summary>
internal abstract class ClusterCredential
{
    /// <summary>What this is, for messages, such as <c>the token file /run/token</c>.</summary>
    public abstract string Display { get; }

    /// <summary>What to do when the server does not accept it.</summary>
    public abstract string Recommendation { get; }

    /// <summary>Gives the present identity.</summary>
    /// <param name="refused">The identity that the server did not accept, so that another one is wanted; null at first.</param>
    /// <exception cref="SmcException">There is none to be had.</exception>
    public abstract ValueTask<ClientIdentity> GetAsync(ClientIdentity? refused, CancellationToken cancellationToken);
}
