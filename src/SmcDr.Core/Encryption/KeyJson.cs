using System.Text.Json;
using System.Text.Json.Serialization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Encryption;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    Converters = [typeof(RecipientKindConverter), typeof(Hash256JsonConverter)])]
[JsonSerializable(typeof(Recipient))]
[JsonSerializable(typeof(KeyCanary))]
[JsonSerializable(typeof(KeyRemoval))]
internal sealed partial class KeyJson : JsonSerializerContext;

/// <summary>Kinds as the words of the format: <c>keyFile</c>, <c>passphrase</c>, <c>awsKms</c>.</summary>
internal sealed class RecipientKindConverter() : JsonStringEnumConverter<RecipientKind>(JsonNamingPolicy.CamelCase, allowIntegerValues: false);
