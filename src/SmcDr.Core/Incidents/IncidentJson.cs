using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Incidents;

/// <summary>How incidents are written: as every document of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(IncidentJournalEntry))]
[JsonSerializable(typeof(IncidentEnd))]
internal sealed partial class IncidentJson : JsonSerializerContext;
