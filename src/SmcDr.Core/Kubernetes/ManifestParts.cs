using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>Parts of which manifests are put together.</summary>
internal static class ManifestParts
{
    /// <summary>Makes an object go with another one, whoever deletes that.</summary>
    public static JsonArray OwnedBy(KubernetesObject owner) => new(new JsonObject
    {
        ["apiVersion"] = owner.ApiVersion,
        ["kind"] = owner.Kind,
        ["name"] = owner.Name,
        ["uid"] = owner.Uid,
    });

    /// <summary>Copies what is there under some keys.</summary>
    public static void Copy(JsonObject from, JsonObject to, params ReadOnlySpan<string> keys)
    {
        foreach (string key in keys)
        {
            if (from[key] is { } value)
            {
                to[key] = value.DeepClone();
            }
        }
    }
}
