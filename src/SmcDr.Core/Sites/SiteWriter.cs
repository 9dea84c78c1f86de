using System.Collections;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Sites;

/// <summary>Writes the text of a site file that <see cref="SiteFile.Parse"/> reads as the same site. It is JSON, which is YAML.</summary>
internal static class SiteWriter
{
    private static readonly JsonSerializerOptions s_options = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The text of a site. Paths are full; what has its default is written out.</summary>
    public static string Write(Site site) => WriteRecord(site).ToJsonString(s_options) + "\n";

    private static JsonObject WriteRecord(object record)
    {
        JsonObject mapping = [];
        foreach (SiteModel.Key key in SiteModel.KeysOf(record.GetType()))
        {
            // Nothing, an empty list or mapping, and an empty text that says nothing are what is there without the key.
            if (key.Property.GetValue(record) is { } value && WriteValue(value) is { } node &&
                node is not (JsonArray { Count: 0 } or JsonObject { Count: 0 }) &&
                (value is not "" || SiteValueRule.Of(key.Attribute.Kind).AllowsEmpty))
            {
                mapping[key.Name] = node;
            }
        }

        return mapping;
    }

    private static JsonNode WriteValue(object value)
    {
        switch (value)
        {
            case string text:
                return text;
            case bool flag:
                return flag;
            case int number:
                return number;
            case long bytes:
                return string.Create(CultureInfo.InvariantCulture, $"{bytes}B");
            case TimeSpan duration:
                return DurationText.Format(duration);
            case Enum member:
                return SiteModel.NameOf(member.ToString());
            case SecretReference or KeyReference:
                return value.ToString()!;
        }

        if (SiteModel.IsRecord(value.GetType()))
        {
            return WriteRecord(value);
        }

        if (value is IDictionary entries)
        {
            JsonObject mapping = [];
            foreach (DictionaryEntry entry in entries)
            {
                mapping[(string)entry.Key] = WriteValue(entry.Value!);
            }

            return mapping;
        }

        return new JsonArray([.. ((IEnumerable)value).Cast<object>().Select(WriteValue)]);
    }
}
