using System.Security.Cryptography.X509Certificates;

namespace SmcDr.Core.Kubernetes;

/// <summary>How a cluster is reached, and as whom.</summary>
public sealed record ClusterAccess
{
    /// <summary>The address of the API server; a path in it is kept.</summary>
    public required Uri Server { get; init; }

    /// <summary>The cluster for messages: the context's name, or the server.</summary>
    public required string Display { get; init; }

    /// <summary>The name of the user in the kubeconfig, for messages.</summary>
    public required string User { get; init; }

    /// <summary>The namespace that is meant where none is given.</summary>
    public string Namespace { get; init; } = "default";

    /// <summary>Whether this runs in a pod of that cluster, whose account is used: its addresses can be connected to from here.</summary>
    public bool IsOwnCluster { get; init; }

    /// <summary>The only authorities that are trusted; null = those of this machine.</summary>
    internal X509Certificate2Collection? Authorities { get; init; }

    internal bool SkipTlsVerify { get; init; }

    /// <summary>The name that the server's certificate must be for; null = the host of <see cref="Server"/>.</summary>
    internal string? TlsServerName { get; init; }

    /// <summary>The proxy; null = what the environment says.</summary>
    internal Uri? Proxy { get; init; }

    internal ClusterCredential Credential { get; init; } = AnonymousCredential.Instance;

    internal Impersonation? Impersonation { get; init; }

    /// <summary>The host and port, without what an address may hold else.</summary>
    internal string ServerDisplay => Server.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped);
}
