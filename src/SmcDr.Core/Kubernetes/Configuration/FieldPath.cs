using System.Globalization;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>Where in an object a field is.</summary>
internal sealed class FieldPath
{
    private FieldPath(FieldStep[] steps) => Steps = steps;

    public static FieldPath Root { get; } = new([]);

    public IReadOnlyList<FieldStep> Steps { get; }

    public static FieldPath Of(params ReadOnlySpan<string> properties)
    {
        FieldStep[] steps = new FieldStep[properties.Length];
        for (int i = 0; i < steps.Length; i++)
        {
            steps[i] = FieldStep.Of(properties[i]);
        }

        return new FieldPath(steps);
    }

    public FieldPath Append(FieldStep step) => new([.. Steps, step]);

    /// <summary>Whether the path begins with these properties.</summary>
    public bool IsBelow(params ReadOnlySpan<string> properties)
    {
        if (Steps.Count < properties.Length)
        {
            return false;
        }

        for (int i = 0; i < properties.Length; i++)
        {
            if (Steps[i].Property != properties[i])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>What is there; null where nothing is.</summary>
    public JsonNode? Resolve(JsonNode root)
    {
        JsonNode? node = root;
        foreach (FieldStep step in Steps)
        {
            node = step.Resolve(node);
        }

        return node;
    }

    /// <summary>The same place as a pointer of RFC 6901 into this very object; null where nothing is there.</summary>
    public string? ToPointer(JsonNode root)
    {
        string pointer = "";
        JsonNode? node = root;
        foreach (FieldStep step in Steps)
        {
            int index = step.Property is null ? step.IndexIn(node as JsonArray) : 0;
            node = step.Resolve(node);
            if (index < 0 || node is null)
            {
                return null;
            }

            pointer += "/" + (step.Property?.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)
                ?? index.ToString(CultureInfo.InvariantCulture));
        }

        return pointer;
    }

    /// <summary>The path as people read it, such as <c>spec.template.spec.containers[name=web].image</c>.</summary>
    public override string ToString() => string.Concat(Steps).TrimStart('.');
}
