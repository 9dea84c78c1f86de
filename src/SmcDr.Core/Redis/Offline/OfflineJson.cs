using System.Text.Json.Serialization;

namespace SmcDr.Core.Redis.Offline;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true,
    WriteIndented = true)]
[JsonSerializable(typeof(OfflineJournal))]
internal sealed partial class OfflineJson : JsonSerializerContext;
