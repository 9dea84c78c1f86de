namespace SmcDr.Core.Kubernetes;

/// <summary>What of its surroundings the search for a cluster depends on.</summary>
internal sealed record KubeEnvironment
{
    public static KubeEnvironment Current { get; } = new();

    public Func<string, string?> Variable { get; init; } = Environment.GetEnvironmentVariable;

    public string HomeDirectory { get; init; } = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    /// <summary>Where the kubelet puts a pod's own token, authority and namespace.</summary>
    public string ServiceAccountDirectory { get; init; } = "/var/run/secrets/kubernetes.io/serviceaccount";

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public string Expand(string path, string? directory = null)
    {
        string expanded = path is "~" || path.StartsWith("~/", StringComparison.Ordinal) || path.StartsWith("~\\", StringComparison.Ordinal)
            ? HomeDirectory + path[1..]
            : path;
        return Path.GetFullPath(expanded, directory ?? Environment.CurrentDirectory);
    }
}
