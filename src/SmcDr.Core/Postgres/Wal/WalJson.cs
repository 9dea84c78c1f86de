using System.Text.Json;
using System.Text.Json.Serialization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>How heads of WAL objects are written: as every document of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    Converters = [typeof(Hash256JsonConverter), typeof(LsnJsonConverter)])]
[JsonSerializable(typeof(Spilling.SpillIdentity))]
[JsonSerializable(typeof(StreamHolder))]
[JsonSerializable(typeof(WalObjectHead))]
internal sealed partial class WalJson : JsonSerializerContext;
