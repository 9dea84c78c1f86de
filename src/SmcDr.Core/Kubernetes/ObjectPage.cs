using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>A page of a list. It is kept as it came, and each object is made when it is wanted: as a tree all of them would take ten times as much.</summary>
internal sealed class ObjectPage
{
    private readonly byte[] _json;
    private readonly List<Range> _items = [];
    private readonly KubernetesResource _resource;

    private ObjectPage(byte[] json, KubernetesResource resource)
    {
        _json = json;
        _resource = resource;
    }

    public string ResourceVersion { get; private set; } = "";

    /// <summary>The token of the next page; null = this is the last one.</summary>
    public string? Continue { get; private set; }

    public static ObjectPage Parse(byte[] json, KubernetesResource resource)
    {
        ObjectPage page = new(json, resource);
        try
        {
            page.Scan();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new SmcException(
                SmcErrorCode.ClusterUnavailable, $"The API server's list of '{resource.FullName}' is no list in JSON.", e);
        }

        return page;
    }

    public IEnumerable<KubernetesObject> Objects()
    {
        foreach (Range range in _items)
        {
            JsonObject raw = (JsonObject)JsonNode.Parse(_json.AsSpan(range))!;
            // The items of a list of a built-in kind do not say what they are.
            if (raw["kind"] is null)
            {
                JsonObject whole = new() { ["apiVersion"] = _resource.ApiVersion, ["kind"] = _resource.Kind };
                foreach ((string name, JsonNode? value) in raw.ToArray())
                {
                    if (name is not ("apiVersion" or "kind"))
                    {
                        raw.Remove(name);
                        whole[name] = value;
                    }
                }

                raw = whole;
            }

            yield return new KubernetesObject(raw);
        }
    }

    private void Scan()
    {
        Utf8JsonReader reader = new(_json);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("It is no object.");
        }

        bool hasItems = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("items"u8))
            {
                hasItems = true;
                reader.Read();
                if (reader.TokenType == JsonTokenType.Null)
                {
                    continue;
                }

                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    if (reader.TokenType != JsonTokenType.StartObject)
                    {
                        throw new JsonException("An item is no object.");
                    }

                    int start = (int)reader.TokenStartIndex;
                    reader.Skip();
                    _items.Add(start..(int)reader.BytesConsumed);
                }
            }
            else if (reader.ValueTextEquals("metadata"u8))
            {
                reader.Read();
                JsonNode? metadata = JsonNode.Parse(ref reader);
                ResourceVersion = (string?)metadata?["resourceVersion"] ?? "";
                Continue = (string?)metadata?["continue"] is { Length: > 0 } token ? token : null;
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        if (!hasItems)
        {
            throw new JsonException("It has no items.");
        }
    }
}
