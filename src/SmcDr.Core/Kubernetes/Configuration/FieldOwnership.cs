using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Who set a field of an object: the server notes for each manager which fields are its own (<c>metadata.managedFields</c>), and what it fills in
/// itself belongs to nobody. Where it keeps no such notes, what kubectl last applied tells the same.
/// </summary>
internal static class FieldOwnership
{
    /// <summary>Where kubectl notes what it applied.</summary>
    public const string LastApplied = "kubectl.kubernetes.io/last-applied-configuration";

    /// <summary>Whether the server says who owns what.</summary>
    public static bool IsKnown(KubernetesObject item) => item.Metadata?["managedFields"] is JsonArray { Count: > 0 };

    /// <summary>Whether somebody set the field, or something below it.</summary>
    /// <param name="item">The object as the server has it.</param>
    /// <param name="path">Where in it.</param>
    public static bool IsOwned(KubernetesObject item, FieldPath path)
    {
        ArgumentNullException.ThrowIfNull(item);
        ArgumentNullException.ThrowIfNull(path);
        foreach (JsonNode? entry in item.Metadata?["managedFields"] as JsonArray ?? [])
        {
            if (entry?["fieldsV1"] is JsonObject fields && Owns(fields, item.Raw, path))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a person or a program set the field, and the server did not fill it in.</summary>
    /// <inheritdoc cref="IsOwned"/>
    public static bool IsUserSet(KubernetesObject item, FieldPath path) => IsOwned(item, path) || WasApplied(item, path);

    private static bool WasApplied(KubernetesObject item, FieldPath path)
    {
        if ((item.Metadata?["annotations"]?[LastApplied] as JsonValue)?.TryGetValue(out string? text) != true || text is null)
        {
            return false;
        }

        try
        {
            // Lists of what was applied may have another order than the object, and its elements fewer fields: its own path is made of what it has.
            return JsonNode.Parse(text) is JsonObject applied && path.Resolve(applied) is not null;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Goes down in the notes of one manager. A leaf owns all below it.</summary>
    private static bool Owns(JsonObject fields, JsonNode item, FieldPath path)
    {
        JsonObject current = fields;
        JsonNode? node = item;
        foreach (FieldStep step in path.Steps)
        {
            JsonNode? parent = node;
            node = step.Resolve(node);
            JsonNode? next = step.Property is not null ? current["f:" + step.Property] : FindElement(current, parent as JsonArray, node);
            if (next is not JsonObject below)
            {
                return false;
            }

            if (below.Count == 0)
            {
                return true;
            }

            current = below;
        }

        return true;
    }

    /// <summary>The notes on an element of a list: by its keys, by its value, or by its place (structured-merge-diff, value/fields.go).</summary>
    private static JsonNode? FindElement(JsonObject fields, JsonArray? list, JsonNode? element)
    {
        foreach ((string name, JsonNode? below) in fields)
        {
            bool isIt = name switch
            {
                ['k', ':', ..] => element is JsonObject map && JsonNode.Parse(name[2..]) is JsonObject keys
                    && keys.All(key => JsonNode.DeepEquals(map[key.Key], key.Value)),
                ['v', ':', ..] => JsonNode.DeepEquals(JsonNode.Parse(name[2..]), element),
                ['i', ':', ..] => list is not null && int.TryParse(name.AsSpan(2), out int index) && index >= 0 && index < list.Count
                    && ReferenceEquals(list[index], element),
                _ => false,
            };
            if (isIt)
            {
                return below;
            }
        }

        return null;
    }
}
