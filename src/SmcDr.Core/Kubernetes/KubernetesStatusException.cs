namespace SmcDr.Core.Kubernetes;

/// <summary>The server's own words, as the inner exception of what became of them.</summary>
public sealed class KubernetesStatusException : Exception
{
    /// <param name="status">What it said.</param>
    /// <param name="message">What of it may be shown; null = all.</param>
    public KubernetesStatusException(KubernetesStatus status, string? message = null)
        : base(message ?? status?.Message)
    {
        ArgumentNullException.ThrowIfNull(status);
        Status = status;
    }

    public KubernetesStatus Status { get; }

    /// <summary>What the server said where <paramref name="exception"/> came of it.</summary>
    public static KubernetesStatus? Of(Exception exception) => (exception?.InnerException as KubernetesStatusException)?.Status;
}
