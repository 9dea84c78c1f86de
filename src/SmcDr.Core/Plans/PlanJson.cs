using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Plans;

/// <summary>How journals are written: as every document of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(PlanJournalEntry))]
[JsonSerializable(typeof(PlanEnd))]
internal sealed partial class PlanJson : JsonSerializerContext;
