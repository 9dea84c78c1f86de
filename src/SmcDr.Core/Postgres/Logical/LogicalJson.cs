using System.Text.Json.Serialization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>How lists of tables are written.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(LogicalTableDetails))]
internal sealed partial class LogicalJson : JsonSerializerContext;
