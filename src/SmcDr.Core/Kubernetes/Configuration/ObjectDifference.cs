using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>A field in which two objects differ.</summary>
/// <param name="Path">Where.</param>
/// <param name="Old">What it was; null = it was not there.</param>
/// <param name="New">What it is; null = it is not there.</param>
internal sealed record ObjectDifference(FieldPath Path, JsonNode? Old, JsonNode? New)
{
    private const int MaximumText = 200;

    private static readonly JsonSerializerOptions s_readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>By what elements of lists are told apart, the first that fits: as the API's own types have it, where it is known to no client.</summary>
    private static readonly string[][] s_keys =
        [["name"], ["containerPort", "protocol"], ["port", "protocol"], ["mountPath"], ["devicePath"], ["key"], ["ip"], ["type"], ["topologyKey", "whenUnsatisfiable"]];

    /// <summary>Every field in which two objects differ, in the order of its path.</summary>
    public static IReadOnlyList<ObjectDifference> Between(JsonObject old, JsonObject @new)
    {
        List<ObjectDifference> result = [];
        Compare(FieldPath.Root, old, @new, result);
        return result;
    }

    /// <summary>The difference as results show it. Of a Secret's data only that it differs.</summary>
    public ConfigurationFieldChange ToResult(bool isSecret) => new(
        Path.ToString(), Show(Old, isSecret), Show(New, isSecret));

    /// <summary>Whether the field is one that may hold what is secret of a Secret.</summary>
    private bool IsSecretValue => Path.IsBelow("data") || Path.IsBelow("stringData") || Path.IsBelow("metadata", "annotations");

    private string? Show(JsonNode? value, bool isSecret)
    {
        if (value is null)
        {
            return null;
        }

        if (isSecret && IsSecretValue)
        {
            return "(hidden)";
        }

        string text = value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : value.ToJsonString(s_readable);
        return KubeText.Clean(text, MaximumText);
    }

    private static void Compare(FieldPath path, JsonNode? old, JsonNode? @new, List<ObjectDifference> result)
    {
        switch (old, @new)
        {
            case (JsonObject left, JsonObject right):
                foreach (string name in left.Select(static pair => pair.Key).Union(right.Select(static pair => pair.Key)).Order(StringComparer.Ordinal))
                {
                    Compare(path.Append(FieldStep.Of(name)), left[name], right[name], result);
                }

                break;
            case (JsonArray left, JsonArray right):
                CompareLists(path, left, right, result);
                break;
            default:
                if (!JsonNode.DeepEquals(old, @new))
                {
                    result.Add(new ObjectDifference(path, old, @new));
                }

                break;
        }
    }

    private static void CompareLists(FieldPath path, JsonArray old, JsonArray @new, List<ObjectDifference> result)
    {
        if (FindKeys(old, @new) is string[] keys)
        {
            foreach (JsonObject element in old.Cast<JsonObject>())
            {
                FieldStep step = FieldStep.Of(element, keys);
                Compare(path.Append(step), element, step.Resolve(@new), result);
            }

            foreach (JsonObject element in @new.Cast<JsonObject>())
            {
                FieldStep step = FieldStep.Of(element, keys);
                if (step.IndexIn(old) < 0)
                {
                    result.Add(new ObjectDifference(path.Append(step), null, element));
                }
            }

            return;
        }

        if (old.Concat(@new).All(static item => item is JsonValue))
        {
            // Texts and numbers: the list as a whole is what somebody wrote.
            if (!JsonNode.DeepEquals(old, @new))
            {
                result.Add(new ObjectDifference(path, old, @new));
            }

            return;
        }

        for (int i = 0; i < Math.Max(old.Count, @new.Count); i++)
        {
            Compare(path.Append(FieldStep.Of(i)), i < old.Count ? old[i] : null, i < @new.Count ? @new[i] : null, result);
        }
    }

    /// <summary>What tells the elements of two lists apart; null where nothing does.</summary>
    public static string[]? FindKeys(JsonArray old, JsonArray @new) =>
        old.Concat(@new).Any(static item => item is not JsonObject)
            ? null
            : s_keys.FirstOrDefault(keys => AreUnique(old, keys) && AreUnique(@new, keys));

    private static bool AreUnique(JsonArray list, string[] keys)
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        return list.Cast<JsonObject>().All(item =>
            keys.All(key => item[key] is JsonValue) && seen.Add(string.Join('\0', keys.Select(key => item[key]!.ToJsonString()))));
    }
}
