using System.Text.Json.Serialization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Regions.Failover;

/// <summary>How a failover is written into the journal of its plan.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    Converters = [typeof(LsnJsonConverter)])]
[JsonSerializable(typeof(RegionFailoverIntent))]
[JsonSerializable(typeof(FailoverFacts))]
[JsonSerializable(typeof(PrimaryStop))]
[JsonSerializable(typeof(DnsSwitch))]
[JsonSerializable(typeof(FailoverWrites))]
[JsonSerializable(typeof(FailoverReport))]
internal sealed partial class RegionFailoverJson : JsonSerializerContext;
