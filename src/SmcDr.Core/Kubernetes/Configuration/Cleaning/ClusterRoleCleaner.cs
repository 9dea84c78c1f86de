using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>Roles that every cluster has are left to it. The rules of a role that puts others together are computed.</summary>
internal sealed class ClusterRoleCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) =>
        group == "rbac.authorization.k8s.io" && kind is "ClusterRole" or "ClusterRoleBinding" or "Role" or "RoleBinding";

    public string? Clean(KubernetesObject item)
    {
        if (item.Name.StartsWith("system:", StringComparison.Ordinal) || item.Labels.ContainsKey("kubernetes.io/bootstrapping"))
        {
            return "the cluster's own";
        }

        if (item.Raw["aggregationRule"] is not null)
        {
            item.Raw.Remove("rules");
        }

        return null;
    }
}
