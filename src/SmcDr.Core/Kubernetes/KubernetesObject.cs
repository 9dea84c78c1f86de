using System.Globalization;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>An object of a cluster: the head that all kinds share, and the whole as JSON.</summary>
public sealed class KubernetesObject
{
    public KubernetesObject(JsonObject raw)
    {
        ArgumentNullException.ThrowIfNull(raw);
        Raw = raw;
    }

    /// <summary>The whole object. What is changed here is changed in the head.</summary>
    public JsonObject Raw { get; }

    public string ApiVersion => Text(Raw, "apiVersion") ?? "";

    public string Kind => Text(Raw, "kind") ?? "";

    public string Name => Text(Metadata, "name") ?? "";

    public string? Namespace => Text(Metadata, "namespace");

    public string? Uid => Text(Metadata, "uid");

    public string? ResourceVersion => Text(Metadata, "resourceVersion");

    public long Generation => (Metadata?["generation"] as JsonValue)?.TryGetValue(out long value) == true ? value : 0;

    public DateTimeOffset? CreationTime => Time("creationTimestamp");

    /// <summary>Since when the object is to go; null = it is not.</summary>
    public DateTimeOffset? DeletionTime => Time("deletionTimestamp");

    /// <summary>Who must agree before the object goes.</summary>
    public IReadOnlyList<string> Finalizers => Texts(Metadata?["finalizers"]);

    public IReadOnlyDictionary<string, string> Labels => Map("labels");

    public IReadOnlyDictionary<string, string> Annotations => Map("annotations");

    public JsonObject? Metadata => Raw["metadata"] as JsonObject;

    /// <summary>Kind, namespace and name, for messages.</summary>
    public override string ToString() => Namespace is null ? $"{Kind}/{Name}" : $"{Kind}/{Namespace}/{Name}";

    private static string? Text(JsonObject? node, string key) =>
        (node?[key] as JsonValue)?.TryGetValue(out string? text) == true ? text : null;

    private static string[] Texts(JsonNode? node) =>
        node is JsonArray array ? [.. array.Select(static item => (string?)item).OfType<string>()] : [];

    private DateTimeOffset? Time(string key) => DateTimeOffset.TryParse(
        Text(Metadata, key), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out DateTimeOffset time)
        ? time
        : null;

    private Dictionary<string, string> Map(string key)
    {
        Dictionary<string, string> result = new(StringComparer.Ordinal);
        foreach ((string name, JsonNode? value) in Metadata?[key] as JsonObject ?? [])
        {
            result[name] = (string?)value ?? "";
        }

        return result;
    }
}
