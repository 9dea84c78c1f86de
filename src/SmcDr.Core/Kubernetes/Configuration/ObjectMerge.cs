using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Puts an object together for a server that cannot apply it: what is wanted, and of what is there only what the server itself put in, such as the address of
/// a service.
/// </summary>
internal static class ObjectMerge
{
    /// <param name="live">The object as the server has it.</param>
    /// <param name="cleaned">The same without what the server put in.</param>
    /// <param name="wanted">What it is to be.</param>
    public static JsonObject Merge(JsonObject live, JsonObject cleaned, JsonObject wanted)
    {
        JsonObject merged = MergeMaps(live, cleaned, wanted);
        (merged["metadata"] as JsonObject)?.Remove("managedFields");
        return merged;
    }

    private static JsonObject MergeMaps(JsonObject live, JsonObject? cleaned, JsonObject wanted)
    {
        JsonObject result = [];
        foreach ((string name, JsonNode? value) in wanted)
        {
            result[name] = (live[name], value) switch
            {
                (JsonObject there, JsonObject map) => MergeMaps(there, cleaned?[name] as JsonObject, map),
                (JsonArray there, JsonArray list) => MergeLists(there, cleaned?[name] as JsonArray, list),
                _ => value?.DeepClone(),
            };
        }

        foreach ((string name, JsonNode? value) in live)
        {
            if (!wanted.ContainsKey(name) && cleaned?.ContainsKey(name) != true)
            {
                result[name] = value?.DeepClone();
            }
        }

        return result;
    }

    private static JsonArray MergeLists(JsonArray live, JsonArray? cleaned, JsonArray wanted)
    {
        if (ObjectDifference.FindKeys(live, wanted) is not string[] keys)
        {
            return (JsonArray)wanted.DeepClone();
        }

        JsonArray result = [];
        foreach (JsonObject element in wanted.Cast<JsonObject>())
        {
            FieldStep step = FieldStep.Of(element, keys);
            result.Add(step.Resolve(live) is JsonObject there
                ? MergeMaps(there, step.Resolve(cleaned) as JsonObject, element)
                : element.DeepClone());
        }

        foreach (JsonObject element in live.Cast<JsonObject>())
        {
            FieldStep step = FieldStep.Of(element, keys);
            if (step.IndexIn(wanted) < 0 && step.IndexIn(cleaned) < 0)
            {
                result.Add(element.DeepClone());
            }
        }

        return result;
    }
}
