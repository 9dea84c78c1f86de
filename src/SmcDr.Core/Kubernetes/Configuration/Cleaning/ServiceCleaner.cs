using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>
/// A Service has addresses and ports of its cluster, which another service may have by now. A port of the nodes stays only where somebody chose it, since
/// then others know it.
/// </summary>
internal sealed class ServiceCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "Service";

    public string? Clean(KubernetesObject item)
    {
        if (item.Name == "kubernetes" && item.Namespace == "default")
        {
            return "the API server's own";
        }

        if (item.Raw["spec"] is not JsonObject spec)
        {
            return null;
        }

        foreach (JsonObject port in spec["ports"].Maps())
        {
            FieldPath path = FieldPath.Of("spec", "ports").Append(FieldStep.Of(port, ["port", "protocol"])).Append(FieldStep.Of("nodePort"));
            FieldPath byNumber = FieldPath.Of("spec", "ports").Append(FieldStep.Of(port, ["port"])).Append(FieldStep.Of("nodePort"));
            if (!FieldOwnership.IsUserSet(item, path) && !FieldOwnership.IsUserSet(item, byNumber))
            {
                port.Remove("nodePort");
            }
        }

        foreach (string field in (string[])["healthCheckNodePort", "ipFamilies", "ipFamilyPolicy"])
        {
            if (!FieldOwnership.IsUserSet(item, FieldPath.Of("spec", field)))
            {
                spec.Remove(field);
            }
        }

        if (spec.TextAt("clusterIP") != "None")
        {
            spec.Remove("clusterIP");
            spec.Remove("clusterIPs");
        }

        return null;
    }
}
