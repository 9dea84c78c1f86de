using System.Collections.Frozen;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// The order in which kinds are restored: what others need first; what judges or holds up others last. A quota counts what is there only after a while, and a
/// webhook refuses everything until its own pods run.
/// </summary>
internal static class ConfigurationLevel
{
    public const string Definitions = "01-definitions";
    public const string Namespaces = "02-namespaces";
    public const string Classes = "03-classes";
    public const string Volumes = "04-volumes";
    public const string Claims = "05-claims";
    public const string Accounts = "06-accounts";
    public const string Bindings = "07-bindings";
    public const string Data = "08-data";
    public const string Limits = "09-limits";
    public const string Services = "10-services";
    public const string Workloads = "11-workloads";
    public const string Policies = "12-policies";
    public const string Custom = "13-custom";
    public const string Quotas = "14-quotas";
    public const string Admission = "15-admission";

    /// <summary>The groups of Kubernetes itself; any other kind is somebody's own.</summary>
    private static readonly FrozenSet<string> s_groups = new[]
    {
        "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "authentication.k8s.io",
        "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
        "extensions", "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io",
        "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
    }.ToFrozenSet(StringComparer.Ordinal);

    private static readonly FrozenDictionary<(string Group, string Kind), string> s_levels = new Dictionary<(string, string), string>
    {
        [("apiextensions.k8s.io", "CustomResourceDefinition")] = Definitions,
        [("", "Namespace")] = Namespaces,
        [("storage.k8s.io", "StorageClass")] = Classes,
        [("scheduling.k8s.io", "PriorityClass")] = Classes,
        [("node.k8s.io", "RuntimeClass")] = Classes,
        [("networking.k8s.io", "IngressClass")] = Classes,
        [("", "PersistentVolume")] = Volumes,
        [("", "PersistentVolumeClaim")] = Claims,
        [("", "ServiceAccount")] = Accounts,
        [("rbac.authorization.k8s.io", "ClusterRole")] = Accounts,
        [("rbac.authorization.k8s.io", "Role")] = Accounts,
        // Whoever may not grant all is let bind a role only once it is there to be looked at.
        [("rbac.authorization.k8s.io", "ClusterRoleBinding")] = Bindings,
        [("rbac.authorization.k8s.io", "RoleBinding")] = Bindings,
        [("", "Secret")] = Data,
        [("", "ConfigMap")] = Data,
        [("", "LimitRange")] = Limits,
        [("", "Service")] = Services,
        [("", "Endpoints")] = Services,
        [("discovery.k8s.io", "EndpointSlice")] = Services,
        [("", "Pod")] = Workloads,
        [("", "PodTemplate")] = Workloads,
        [("", "ReplicationController")] = Workloads,
        [("apps", "Deployment")] = Workloads,
        [("apps", "StatefulSet")] = Workloads,
        [("apps", "DaemonSet")] = Workloads,
        [("apps", "ReplicaSet")] = Workloads,
        [("batch", "Job")] = Workloads,
        [("batch", "CronJob")] = Workloads,
        [("", "ResourceQuota")] = Quotas,
        [("admissionregistration.k8s.io", "ValidatingWebhookConfiguration")] = Admission,
        [("admissionregistration.k8s.io", "MutatingWebhookConfiguration")] = Admission,
        [("apiregistration.k8s.io", "APIService")] = Admission,
    }.ToFrozenDictionary();

    /// <summary>The group in an <c>apiVersion</c>; empty = the core group.</summary>
    public static string GroupOf(string apiVersion)
    {
        ArgumentNullException.ThrowIfNull(apiVersion);
        int slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? "" : apiVersion[..slash];
    }

    /// <summary>Whether a group is one of Kubernetes itself.</summary>
    public static bool IsBuiltIn(string group) => s_groups.Contains(group);

    /// <summary>The level of a kind, by whose name levels sort.</summary>
    public static string Of(string group, string kind) =>
        s_levels.GetValueOrDefault((group, kind)) ?? (IsBuiltIn(group) ? Policies : Custom);
}
