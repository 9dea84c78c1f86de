using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>
/// What is remembered of a workload that was stopped. It is an annotation of the workload itself, written by the same patch that stops it and taken
/// away by the one that starts it, so there is no moment in which only one of the two is true, and no place of ours that could be lost.
/// </summary>
/// <param name="Replicas">How many replicas it had; null where its kind has none.</param>
/// <param name="Time">When it was stopped, in UTC.</param>
/// <param name="Reason">Who stopped it: <see cref="ByOperator"/>, <see cref="ByRecovery"/> or <see cref="ByRestore"/>.</param>
internal sealed record Suspension(int? Replicas, DateTimeOffset Time, string Reason)
{
    /// <summary>The annotation.</summary>
    public const string Annotation = "smcdr/suspended";

    /// <summary>An operator asked for it; only an operator starts it again.</summary>
    public const string ByOperator = "operator";

    /// <summary>A recovery of the database asked for it, and starts it again.</summary>
    public const string ByRecovery = "recovery";

    /// <summary>A restore of the whole system made it, without its data yet, and starts it when that is there.</summary>
    public const string ByRestore = "restore";

    public string ToJson() => JsonSerializer.Serialize(this, SuspensionJson.Default.Suspension);

    /// <summary>Reads what is remembered of an object; null where there is nothing.</summary>
    /// <exception cref="SmcException">It is there and cannot be read.</exception>
    public static Suspension? Of(KubernetesObject item)
    {
        if (!item.Annotations.TryGetValue(Annotation, out string? text))
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(text, SuspensionJson.Default.Suspension) ?? throw new JsonException("It is null.");
        }
        catch (JsonException e)
        {
            throw new SmcException(
                SmcErrorCode.ResourceInvalid,
                $"What '{item}' remembers of its replicas, in its annotation '{Annotation}', cannot be read: '{KubeText.Clean(text, 200)}'.",
                e,
                "Scale it by hand (kubectl scale) and take the annotation away (kubectl annotate), then run the command again.",
                item.ToString());
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Suspension))]
internal sealed partial class SuspensionJson : JsonSerializerContext;
