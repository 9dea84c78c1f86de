using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Retention;

/// <summary>How protections are written: as all documents of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(BackupProtection))]
internal sealed partial class RetentionJson : JsonSerializerContext;
