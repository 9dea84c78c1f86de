using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>
/// Tokens of accounts are made by the cluster, and none of another cluster is worth anything. What kubectl notes of the last apply holds the values in
/// clear and goes.
/// </summary>
internal sealed class SecretCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "Secret";

    public string? Clean(KubernetesObject item)
    {
        item.Metadata?.RemoveFrom("annotations", FieldOwnership.LastApplied);
        switch (item.Raw.TextAt("type"))
        {
            case "bootstrap.kubernetes.io/token":
                return "token to join the cluster";
            case "kubernetes.io/service-account-token":
                string account = item.Annotations.GetValueOrDefault("kubernetes.io/service-account.name", "");
                if (IsGenerated(item.Name, account, "-token-"))
                {
                    return "token of a service account";
                }

                item.Raw.RemoveFrom("data", "token", "ca.crt", "namespace", "service-ca.crt");
                item.Metadata?.RemoveFrom("annotations", "kubernetes.io/service-account.uid");
                return null;
            default:
                return null;
        }
    }

    /// <summary>Whether a name is one that the cluster made for a token of an account: <c>web-token-x7k2p</c>.</summary>
    public static bool IsGenerated(string name, string account, string middle) =>
        account.Length > 0 && name.Length == account.Length + middle.Length + 5
        && name.StartsWith(account, StringComparison.Ordinal) && name.AsSpan(account.Length).StartsWith(middle, StringComparison.Ordinal);
}
