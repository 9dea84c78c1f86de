using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Objectives;

/// <summary>How measurements are written: as every document of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(RecoveryMeasurement))]
internal sealed partial class ObjectivesJson : JsonSerializerContext;
