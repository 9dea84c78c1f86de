using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>A program that a kubeconfig names to get credentials from.</summary>
internal sealed record ExecPluginSettings
{
    public const string V1 = "client.authentication.k8s.io/v1";
    public const string V1Beta1 = "client.authentication.k8s.io/v1beta1";

    /// <summary>The user of the kubeconfig, for messages.</summary>
    public required string User { get; init; }

    public required string ApiVersion { get; init; }

    /// <summary>The program: a full path, or a name to be found in PATH.</summary>
    public required string Command { get; init; }

    public IReadOnlyList<string> Arguments { get; init; } = [];

    public IReadOnlyList<KeyValuePair<string, string>> Environment { get; init; } = [];

    /// <summary>What to tell whoever has not installed the program.</summary>
    public string? InstallHint { get; init; }

    /// <summary>What the program is told of the cluster, where it asks for that.</summary>
    public JsonObject? ClusterInfo { get; init; }

    /// <summary>How long the program may take.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);
}
