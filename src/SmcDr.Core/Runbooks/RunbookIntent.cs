using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Runbooks;

/// <summary>What was decided when a runbook was begun: from it alone, and the site file, its steps are built.</summary>
internal sealed record RunbookIntent
{
    public required IncidentScenario Scenario { get; init; }

    /// <summary>The instant that was asked for.</summary>
    public DateTimeOffset? TargetTime { get; init; }

    /// <summary>The region that was asked for.</summary>
    public string? Region { get; init; }

    public bool Force { get; init; }

    /// <summary>The kind of the plan that it is about, and what was decided for that.</summary>
    public required string Kind { get; init; }

    public required JsonElement Plan { get; init; }

    /// <summary>Where alone it is read from: the place whose backups are locked, or a copy; null = the repository, and its copies for what it lacks.</summary>
    public string? Source { get; init; }

    /// <summary>Whether what can still be read of the database is saved before it is replaced.</summary>
    public bool SavesPresent { get; init; }

    /// <summary>Whether the backups are held, read whole, and recovered to a server that is thrown away, before anything is replaced.</summary>
    public bool ProvesBackups { get; init; }

    /// <summary>Whether a full base backup is taken behind all else.</summary>
    public bool BacksUpAfter { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RunbookIntent))]
internal sealed partial class RunbookJson : JsonSerializerContext;
