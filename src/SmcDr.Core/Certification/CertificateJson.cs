using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Certification;

/// <summary>How certificates are written: as every document of a repository.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(RecoveryCertificate))]
internal sealed partial class CertificateJson : JsonSerializerContext;
