using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>What cleaners do with maps and lists.</summary>
internal static class JsonEdits
{
    /// <summary>Removes properties; a map that is empty then goes as well.</summary>
    public static void RemoveFrom(this JsonObject owner, string map, params ReadOnlySpan<string> names)
    {
        if (owner[map] is not JsonObject target)
        {
            return;
        }

        foreach (string name in names)
        {
            target.Remove(name);
        }

        if (target.Count == 0)
        {
            owner.Remove(map);
        }
    }

    /// <summary>Removes elements; a list that is empty then goes as well.</summary>
    public static void RemoveWhere(this JsonObject owner, string list, Func<JsonNode?, bool> isUnwanted)
    {
        if (owner[list] is not JsonArray target)
        {
            return;
        }

        for (int i = target.Count - 1; i >= 0; i--)
        {
            if (isUnwanted(target[i]))
            {
                target.RemoveAt(i);
            }
        }

        if (target.Count == 0)
        {
            owner.Remove(list);
        }
    }

    /// <summary>A text at a path of properties; null where there is none.</summary>
    public static string? TextAt(this JsonNode? node, params ReadOnlySpan<string> path) =>
        (node.At(path) as JsonValue)?.TryGetValue(out string? text) == true ? text : null;

    /// <summary>What is at a path of properties; null where nothing is, or one of them is no map.</summary>
    public static JsonNode? At(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (string name in path)
        {
            node = (node as JsonObject)?[name];
        }

        return node;
    }

    /// <summary>The maps of a list; none where there is no list.</summary>
    public static IEnumerable<JsonObject> Maps(this JsonNode? list) => (list as JsonArray ?? []).OfType<JsonObject>();
}
