using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Dns;

/// <summary>Names in JSON: as texts, with their last dot.</summary>
internal sealed class DnsNameJsonConverter : JsonConverter<DnsName>
{
    public override DnsName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        DnsName.TryParse(reader.GetString(), out DnsName? name) ? name : throw new JsonException("This is not a domain name.");

    public override void Write(Utf8JsonWriter writer, DnsName value, JsonSerializerOptions options) => writer.WriteStringValue(value.Text);
}
