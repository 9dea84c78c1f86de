using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>What an API server says about the outcome of a request (meta/v1 Status).</summary>
public sealed record KubernetesStatus
{
    /// <summary><c>Success</c> or <c>Failure</c>.</summary>
    public string Status { get; init; } = "";

    /// <summary>The HTTP status.</summary>
    public int Code { get; init; }

    /// <summary>Why, in one word, such as <c>NotFound</c>.</summary>
    public string Reason { get; init; } = "";

    public string Message { get; init; } = "";

    public string? Name { get; init; }

    public string? Group { get; init; }

    public string? Kind { get; init; }

    public IReadOnlyList<KubernetesStatusCause> Causes { get; init; } = [];

    public int? RetryAfterSeconds { get; init; }

    /// <summary>Where a list whose token has expired can go on, no longer consistent.</summary>
    public string? Continue { get; init; }

    public bool IsSuccess => Status == "Success";

    /// <summary>Reads a Status; null where it is none.</summary>
    public static KubernetesStatus? TryParse(ReadOnlySpan<byte> json)
    {
        try
        {
            return FromJson(JsonNode.Parse(json));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    /// <summary>Reads a Status; null where it is none.</summary>
    public static KubernetesStatus? FromJson(JsonNode? node)
    {
        if (node is not JsonObject root || (string?)root["kind"] is not (null or "Status") || root["status"] is not JsonValue)
        {
            return null;
        }

        JsonObject? details = root["details"] as JsonObject;
        List<KubernetesStatusCause> causes = [];
        foreach (JsonNode? cause in details?["causes"] as JsonArray ?? [])
        {
            causes.Add(new KubernetesStatusCause(
                (string?)cause?["reason"] ?? "", (string?)cause?["message"] ?? "", (string?)cause?["field"] ?? ""));
        }

        return new KubernetesStatus
        {
            Status = (string?)root["status"] ?? "",
            Code = (int?)root["code"] ?? 0,
            Reason = (string?)root["reason"] ?? "",
            Message = (string?)root["message"] ?? "",
            Name = (string?)details?["name"],
            Group = (string?)details?["group"],
            Kind = (string?)details?["kind"],
            Causes = causes,
            RetryAfterSeconds = (int?)details?["retryAfterSeconds"],
            Continue = (string?)root["metadata"]?["continue"],
        };
    }
}
