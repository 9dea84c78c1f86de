using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>An object's label selector as the text that lists take.</summary>
internal static class LabelSelector
{
    /// <summary>The text of a selector; null where it selects nothing, as one that is empty or missing.</summary>
    public static string? ToText(JsonNode? selector)
    {
        List<string> terms = [];
        foreach ((string key, JsonNode? value) in selector?["matchLabels"] as JsonObject ?? [])
        {
            terms.Add($"{key}={(string?)value}");
        }

        foreach (JsonNode? expression in selector?["matchExpressions"] as JsonArray ?? [])
        {
            string key = (string?)expression?["key"] ?? "";
            string values = string.Join(',', (expression?["values"] as JsonArray ?? []).Select(static value => (string?)value));
            terms.Add((string?)expression?["operator"] switch
            {
                "In" => $"{key} in ({values})",
                "NotIn" => $"{key} notin ({values})",
                "Exists" => key,
                "DoesNotExist" => $"!{key}",
                string other => throw new SmcException(
                    SmcErrorCode.ResourceInvalid, $"The label selector's operator '{KubeText.Clean(other, 50)}' is not known."),
                null => throw new SmcException(SmcErrorCode.ResourceInvalid, "A label selector has an expression without an operator."),
            });
        }

        return terms.Count == 0 ? null : string.Join(',', terms);
    }
}
