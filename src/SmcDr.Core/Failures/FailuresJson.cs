using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Failures;

/// <summary>How failures are written: as every document of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(BackupFailureNote))]
internal sealed partial class FailuresJson : JsonSerializerContext;
