using System.Text.Json.Serialization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true,
    Converters = [typeof(LsnJsonConverter)])]
[JsonSerializable(typeof(RecoveryJournalEntry))]
internal sealed partial class RecoveryJson : JsonSerializerContext;
