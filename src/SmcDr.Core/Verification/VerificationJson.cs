using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Verification;

/// <summary>How notes are written: as all documents of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(VerificationNote))]
internal sealed partial class VerificationJson : JsonSerializerContext;
