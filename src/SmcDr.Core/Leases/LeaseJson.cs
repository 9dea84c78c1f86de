using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Leases;

/// <summary>How leases and epochs are written: as every document of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(LeaseHolder))]
[JsonSerializable(typeof(FencingEpoch))]
internal sealed partial class LeaseJson : JsonSerializerContext;
