using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Moves objects to other namespaces: the one that they are in, and those that they name where the API knows it for a namespace. What stands in texts, such as
/// the address of a service in an environment variable, is left alone.
/// </summary>
internal sealed class NamespaceMapper
{
    private const string NameLabel = "kubernetes.io/metadata.name";
    private const string HelmNamespace = "meta.helm.sh/release-namespace";
    private readonly IReadOnlyDictionary<string, string> _map;

    public NamespaceMapper(IReadOnlyDictionary<string, string> map)
    {
        ArgumentNullException.ThrowIfNull(map);
        _map = map.Where(static pair => pair.Key != pair.Value).ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>Whether nothing moves.</summary>
    public bool IsEmpty => _map.Count == 0;

    /// <summary>The namespaces that something moves from.</summary>
    public IEnumerable<string> Sources => _map.Keys;

    public string Map(string name) => _map.GetValueOrDefault(name, name);

    /// <summary>Moves an object, in place.</summary>
    public void Apply(KubernetesObject item)
    {
        ArgumentNullException.ThrowIfNull(item);
        if (IsEmpty || item.Metadata is not JsonObject metadata)
        {
            return;
        }

        if (item.Namespace is not null || item.Kind == "Namespace")
        {
            // It names the old namespace, and kubectl would take the difference for a change. An object of the cluster keeps it: it is one for both.
            metadata.RemoveFrom("annotations", FieldOwnership.LastApplied);
        }

        Change(metadata, "namespace");
        Change(metadata["annotations"], HelmNamespace);
        foreach (JsonNode? service in ServicesOf(item))
        {
            Change(service, "namespace");
        }

        switch (ConfigurationLevel.GroupOf(item.ApiVersion), item.Kind)
        {
            case ("", "Namespace"):
                Change(metadata, "name");
                break;
            case ("", "PersistentVolume"):
                Change(item.Raw.At("spec", "claimRef"), "namespace");
                break;
            case ("rbac.authorization.k8s.io", "RoleBinding" or "ClusterRoleBinding"):
                foreach (JsonObject subject in item.Raw["subjects"].Maps())
                {
                    ChangeSubject(subject);
                }

                break;
            case ("admissionregistration.k8s.io" or "apiregistration.k8s.io" or "apiextensions.k8s.io", _):
                // What else they say of namespaces is text, or the schema of a kind.
                break;
            case (var group, _) when ConfigurationLevel.IsBuiltIn(group):
                ChangeBelow(item.Raw["spec"]);
                break;
        }
    }

    /// <summary>The namespace that something moves from and that has a service which the whole cluster asks for the sake of an object; null = none.</summary>
    public string? SourceThatServes(KubernetesObject item) => IsEmpty
        ? null
        : ServicesOf(item).Select(static service => service.TextAt("namespace")).FirstOrDefault(name => name is not null && _map.ContainsKey(name));

    /// <summary>The services that the API server itself asks: webhooks, those of other APIs, and those that convert.</summary>
    private static IEnumerable<JsonNode?> ServicesOf(KubernetesObject item) => ConfigurationLevel.GroupOf(item.ApiVersion) switch
    {
        "admissionregistration.k8s.io" => item.Raw["webhooks"].Maps().Select(static webhook => webhook.At("clientConfig", "service")),
        "apiregistration.k8s.io" => [item.Raw.At("spec", "service")],
        "apiextensions.k8s.io" => [item.Raw.At("spec", "conversion", "webhook", "clientConfig", "service")],
        _ => [],
    };

    private void Change(JsonNode? owner, string name)
    {
        if (owner.TextAt(name) is string value && _map.TryGetValue(value, out string? mapped))
        {
            owner![name] = mapped;
        }
    }

    private void ChangeSubject(JsonObject subject)
    {
        Change(subject, "namespace");
        string[] parts = subject.TextAt("name")?.Split(':') ?? [];
        // system:serviceaccounts:NAMESPACE is a group, system:serviceaccount:NAMESPACE:NAME a user.
        if (parts is ["system", "serviceaccounts" or "serviceaccount", var name, ..] && _map.TryGetValue(name, out string? mapped))
        {
            parts[2] = mapped;
            subject["name"] = string.Join(':', parts);
        }
    }

    /// <summary>Selectors of namespaces by name in network policies, and lists of them in the affinity of pods.</summary>
    private void ChangeBelow(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject map:
                Change(map.At("namespaceSelector", "matchLabels"), NameLabel);
                if (map["namespaces"] is JsonArray names)
                {
                    for (int i = 0; i < names.Count; i++)
                    {
                        if (names[i] is JsonValue value && value.TryGetValue(out string? name) && _map.TryGetValue(name, out string? mapped))
                        {
                            names[i] = mapped;
                        }
                    }
                }

                foreach (JsonNode? child in map.Select(static pair => pair.Value).ToArray())
                {
                    ChangeBelow(child);
                }

                break;
            case JsonArray list:
                foreach (JsonNode? child in list)
                {
                    ChangeBelow(child);
                }

                break;
        }
    }
}
