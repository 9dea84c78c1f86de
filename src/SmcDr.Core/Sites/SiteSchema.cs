using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Sites;

/// <summary>The JSON schema of the site file, for editors and CI. Generated from what the loader validates by.</summary>
public static class SiteSchema
{
    // Read by people: no \u0022 and \u003E, and it is never put into HTML.
    private static readonly JsonSerializerOptions s_options = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Generates the schema (JSON Schema, draft 2020-12).</summary>
    public static string Generate()
    {
        SortedDictionary<string, JsonObject> definitions = new(StringComparer.Ordinal);
        JsonObject root = new()
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "SmcDr site file",
            ["description"] = "A system that SmcDr protects: smcdr.yaml.",
        };
        foreach ((string name, JsonNode? value) in DescribeRecord(typeof(Site), definitions).ToList())
        {
            root[name] = value?.DeepClone();
        }

        JsonObject defs = [];
        foreach ((string name, JsonObject definition) in definitions)
        {
            defs[name] = definition;
        }

        root["$defs"] = defs;
        return root.ToJsonString(s_options) + "\n";
    }

    private static JsonObject DescribeRecord(Type type, SortedDictionary<string, JsonObject> definitions)
    {
        JsonObject properties = [];
        JsonArray required = [];
        foreach (SiteModel.Key key in SiteModel.KeysOf(type))
        {
            JsonObject property = DescribeType(key.Type, key.Attribute, definitions);
            property["description"] = key.Attribute.Description;
            properties[key.Name] = property;
            if (key.IsRequired)
            {
                required.Add((JsonNode)key.Name);
            }
        }

        JsonObject result = new() { ["type"] = "object", ["additionalProperties"] = false, ["properties"] = properties };
        if (required.Count > 0)
        {
            result["required"] = required;
        }

        return result;
    }

    private static JsonObject DescribeType(Type type, SiteKeyAttribute key, SortedDictionary<string, JsonObject> definitions)
    {
        if (SiteModel.ItemOf(type) is { } item)
        {
            return new() { ["type"] = "array", ["items"] = DescribeType(item, key, definitions) };
        }

        if (SiteModel.EntryOf(type) is { } entry)
        {
            return new()
            {
                ["type"] = "object",
                ["propertyNames"] = new JsonObject { ["pattern"] = SiteValueRule.Of(SiteValueKind.Name).Pattern },
                ["additionalProperties"] = DescribeType(entry, key, definitions),
            };
        }

        if (SiteModel.IsRecord(type))
        {
            string name = SiteModel.NameOf(type.Name);
            if (!definitions.ContainsKey(name))
            {
                definitions[name] = DescribeRecord(type, definitions);
            }

            return new() { ["$ref"] = $"#/$defs/{name}" };
        }

        return DescribeScalar(type, key);
    }

    private static JsonObject DescribeScalar(Type type, SiteKeyAttribute key)
    {
        if (type == typeof(bool))
        {
            return new() { ["type"] = "boolean" };
        }

        if (type == typeof(int))
        {
            JsonObject number = new() { ["type"] = "integer", ["minimum"] = key.Minimum };
            if (key.Maximum != int.MaxValue)
            {
                number["maximum"] = key.Maximum;
            }

            return number;
        }

        if (type.IsEnum)
        {
            return new() { ["enum"] = new JsonArray([.. Enum.GetNames(type).Select(static name => (JsonNode)SiteModel.NameOf(name))]) };
        }

        string? pattern = type == typeof(TimeSpan) ? DurationText.Pattern
            : type == typeof(long) ? SizeText.Pattern
            : type == typeof(SecretReference) ? SecretReference.Pattern
            : type == typeof(KeyReference) ? KeyReference.Pattern
            : SiteValueRule.Of(key.Kind).Pattern;
        JsonObject text = new() { ["type"] = "string" };
        if (!SiteValueRule.Of(key.Kind).AllowsEmpty)
        {
            text["minLength"] = 1;
        }

        if (pattern is not null)
        {
            text["pattern"] = pattern;
        }

        return text;
    }
}
