using System.Text.Json.Serialization;

namespace SmcDr.Core.Dns;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(DnsUndo))]
internal sealed partial class DnsJson : JsonSerializerContext;
