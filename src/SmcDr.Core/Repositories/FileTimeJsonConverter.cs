using System.Text.Json;
using System.Text.Json.Serialization;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Repositories;

/// <summary>Writes times of files as text, because readers of JSON numbers lose nanoseconds.</summary>
internal sealed class FileTimeJsonConverter : JsonConverter<FileTime>
{
    public override FileTime Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        try
        {
            return FileTime.Parse(reader.GetString() ?? "");
        }
        catch (FormatException e)
        {
            throw new JsonException(e.Message, e);
        }
    }

    public override void Write(Utf8JsonWriter writer, FileTime value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
