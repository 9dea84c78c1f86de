using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Repositories;

/// <summary>How documents are written: one line, camel case, enums by name, nothing that is null.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    Converters = [typeof(Hash256JsonConverter), typeof(LsnJsonConverter), typeof(FileTimeJsonConverter)])]
[JsonSerializable(typeof(RepositoryRoot))]
[JsonSerializable(typeof(BackupStart))]
[JsonSerializable(typeof(BackupMarker))]
[JsonSerializable(typeof(BackupHeader))]
internal sealed partial class RepositoryJson : JsonSerializerContext;
