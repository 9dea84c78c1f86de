using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>Webhooks and aggregated APIs: the authority goes where another program puts it in, since it is another one in another cluster.</summary>
internal sealed class AdmissionCleaner : IResourceCleaner
{
    private static readonly string[] s_injectors =
    [
        "cert-manager.io/inject-ca-from", "cert-manager.io/inject-ca-from-secret", "cert-manager.io/inject-apiserver-ca",
        "service.beta.openshift.io/inject-cabundle",
    ];

    public static bool IsInjected(KubernetesObject item) => s_injectors.Any(item.Annotations.ContainsKey);

    public bool AppliesTo(string group, string kind) =>
        (group, kind) is ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" or "MutatingWebhookConfiguration")
            or ("apiregistration.k8s.io", "APIService");

    public string? Clean(KubernetesObject item)
    {
        if (item.Kind == "APIService")
        {
            if (item.Raw.At("spec", "service") is null)
            {
                return "the API server's own";
            }

            if (IsInjected(item))
            {
                (item.Raw["spec"] as JsonObject)?.Remove("caBundle");
            }
        }
        else if (IsInjected(item))
        {
            foreach (JsonObject webhook in item.Raw["webhooks"].Maps())
            {
                (webhook["clientConfig"] as JsonObject)?.Remove("caBundle");
            }
        }

        return null;
    }
}
