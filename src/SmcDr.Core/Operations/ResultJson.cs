using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace SmcDr.Core.Operations;

/// <summary>
/// Results as JSON: camel case, durations as numbers of seconds, times in UTC with <c>Z</c>. The records that users see are read back from it, so that a
/// result that another process came to is the same object here.
/// </summary>
public static class ResultJson
{
    private static readonly JsonSerializerOptions s_compact = Create(indent: false);
    private static readonly JsonSerializerOptions s_indented = Create(indent: true);

    /// <summary>Writes a result.</summary>
    public static string Serialize<T>(T value, bool indent = false) => JsonSerializer.Serialize(value, indent ? s_indented : s_compact);

    /// <summary>Reads a result.</summary>
    /// <exception cref="JsonException">It is none, or lacks what such a result must have.</exception>
    public static T Deserialize<T>(string text) => JsonSerializer.Deserialize<T>(text, s_compact) ?? throw new JsonException("It is null.");

    /// <inheritdoc cref="Deserialize{T}(string)"/>
    public static T Deserialize<T>(JsonElement value) => value.Deserialize<T>(s_compact) ?? throw new JsonException("It is null.");

    /// <summary>A result as a part of a larger document.</summary>
    public static JsonElement ToElement<T>(T value) => JsonSerializer.SerializeToElement(value, s_compact);

    private static JsonSerializerOptions Create(bool indent) => new(JsonSerializerDefaults.Web)
    {
        WriteIndented = indent,
        // It is not put into HTML; paths and messages stay readable.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new UtcConverter(), new SecondsConverter(), new JsonStringEnumConverter() },
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { NameSeconds } },
    };

    /// <summary>
    /// A duration is called <c>…Seconds</c>, once, whether the record has that property already or not. Of the two the one stays that can be read back.
    /// </summary>
    private static void NameSeconds(JsonTypeInfo type)
    {
        foreach (JsonPropertyInfo property in type.Properties.ToList())
        {
            if (property.PropertyType == typeof(TimeSpan) || property.PropertyType == typeof(TimeSpan?))
            {
                string name = property.Name + "Seconds";
                JsonPropertyInfo? other = type.Properties.FirstOrDefault(other => other.Name == name);
                if (other is not null && property.Set is null)
                {
                    type.Properties.Remove(property);
                    continue;
                }

                if (other is not null)
                {
                    type.Properties.Remove(other);
                }

                property.Name = name;
            }
        }
    }

    private sealed class SecondsConverter : JsonConverter<TimeSpan>
    {
        public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            TimeSpan.FromSeconds(reader.GetDouble());

        public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) =>
            writer.WriteNumberValue(value.TotalSeconds);
    }

    private sealed class UtcConverter : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.GetDateTimeOffset();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture));
    }
}
