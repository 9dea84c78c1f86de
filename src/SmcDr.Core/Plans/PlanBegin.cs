using System.Text.Json;

namespace SmcDr.Core.Plans;

/// <summary>With what a journal begins: what is to be done.</summary>
internal sealed record PlanBegin
{
    public required string Site { get; init; }

    public required string Operation { get; init; }

    public required string Title { get; init; }

    /// <summary>The version of SmcDr.</summary>
    public required string Tool { get; init; }

    public JsonElement? Intent { get; init; }

    public required IReadOnlyList<PlannedStep> Steps { get; init; }
}

/// <summary>A step as it was planned.</summary>
internal sealed record PlannedStep(string Key, string Title, string Target, IReadOnlyList<string> After, string Description, long? SizeBytes);
