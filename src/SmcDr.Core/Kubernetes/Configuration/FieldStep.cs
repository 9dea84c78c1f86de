using System.Globalization;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>One step into an object: a property, an element of a list by what identifies it, or by its place.</summary>
internal readonly record struct FieldStep
{
    /// <summary>The property's name; null for an element.</summary>
    public string? Property { get; private init; }

    /// <summary>The names of the properties that identify an element, and its values.</summary>
    public IReadOnlyList<(string Name, JsonNode? Value)>? Keys { get; private init; }

    /// <summary>The place of an element that nothing else identifies.</summary>
    public int Index { get; private init; }

    public static FieldStep Of(string property) => new() { Property = property };

    public static FieldStep Of(int index) => new() { Index = index };

    public static FieldStep Of(JsonObject element, IReadOnlyList<string> keys) =>
        new() { Keys = [.. keys.Select(key => (key, element[key]))] };

    /// <summary>What the step leads to; null where that is not there.</summary>
    public JsonNode? Resolve(JsonNode? node)
    {
        if (Property is not null)
        {
            return (node as JsonObject)?[Property];
        }

        int index = IndexIn(node as JsonArray);
        return index < 0 ? null : ((JsonArray)node!)[index];
    }

    /// <summary>The place of the element in a list; -1 where it is not there.</summary>
    public int IndexIn(JsonArray? list)
    {
        if (list is null)
        {
            return -1;
        }

        if (Keys is null)
        {
            return Index < list.Count ? Index : -1;
        }

        for (int i = 0; i < list.Count; i++)
        {
            if (list[i] is JsonObject element && Keys.All(key => JsonNode.DeepEquals(element[key.Name], key.Value)))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>The step as people read it, such as <c>.spec</c>, <c>[name=web]</c> or <c>[0]</c>.</summary>
    public override string ToString() =>
        Property is not null
            ? Property.AsSpan().ContainsAny(".[/ ") ? $"['{Property}']" : "." + Property
            : Keys is not null
                ? $"[{string.Join(',', Keys.Select(static key => $"{key.Name}={key.Value}"))}]"
                : string.Create(CultureInfo.InvariantCulture, $"[{Index}]");
}
