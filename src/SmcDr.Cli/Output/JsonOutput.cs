using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace SmcDr.Cli.Output;

/// <summary>Results as JSON: camel case, durations as numbers of seconds, times in UTC with <c>Z</c>.</summary>
internal static class JsonOutput
{
    private static readonly JsonSerializerOptions s_compact = Create(indent: false);
    private static readonly JsonSerializerOptions s_indented = Create(indent: true);

    public static void Write<T>(TextWriter writer, T value, bool indent = false) =>
        writer.WriteLine(JsonSerializer.Serialize(value, indent ? s_indented : s_compact));

    private static JsonSerializerOptions Create(bool indent) => new(JsonSerializerDefaults.Web)
    {
        WriteIndented = indent,
        // It is not put into HTML; paths and messages stay readable.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new UtcConverter(), new SecondsConverter(), new JsonStringEnumConverter() },
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { NameSeconds } },
    };

    /// <summary>A duration is called <c>…Seconds</c>, once, whether the record has that property already or not.</summary>
    private static void NameSeconds(JsonTypeInfo type)
    {
        foreach (JsonPropertyInfo property in type.Properties.ToList())
        {
            if (property.PropertyType == typeof(TimeSpan) || property.PropertyType == typeof(TimeSpan?))
            {
                string name = property.Name + "Seconds";
                if (type.Properties.Any(other => other.Name == name))
                {
                    type.Properties.Remove(property);
                }
                else
                {
                    property.Name = name;
                }
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
