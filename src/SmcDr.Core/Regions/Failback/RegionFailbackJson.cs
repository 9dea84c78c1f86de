using System.Text.Json.Serialization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Regions.Failback;

/// <summary>How a failback is written into the journal of its plan, and the lists of what was lost into their files.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    Converters = [typeof(LsnJsonConverter)])]
[JsonSerializable(typeof(RegionFailbackIntent))]
[JsonSerializable(typeof(FailbackFacts))]
[JsonSerializable(typeof(KeptLoss))]
[JsonSerializable(typeof(Rejoining))]
[JsonSerializable(typeof(LostTransaction))]
[JsonSerializable(typeof(LostTableRows))]
internal sealed partial class RegionFailbackJson : JsonSerializerContext;
