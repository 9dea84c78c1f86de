using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Operations;

/// <summary>
/// One line of what a command tells a program: <c>smcdr … --json-lines</c>. Everything goes through one stream, since a pod's log has only one.
/// </summary>
public sealed record CommandEvent
{
    /// <summary>What every line begins with, so that a line of somebody else is known.</summary>
    public const string Beginning = "{\"number\":";

    /// <summary>Counts from 1, so that whoever reads the same lines again skips what he has.</summary>
    [JsonPropertyOrder(-1)]
    public required long Number { get; init; }

    public required CommandEventKind Kind { get; init; }

    /// <summary>When it was told, by the clock of the host that the command runs on.</summary>
    public required DateTimeOffset Time { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Message { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public OperationProgress? Progress { get; init; }

    /// <summary>A result; <see cref="ResultJson"/> makes the record of it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Result { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CommandFailure? Error { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? ExitCode { get; init; }

    /// <summary>Reads a line; null where it is none of a command, or was cut.</summary>
    public static CommandEvent? TryParse(string line)
    {
        ArgumentNullException.ThrowIfNull(line);
        if (!line.StartsWith(Beginning, StringComparison.Ordinal))
        {
            return null;
        }

        try
        {
            return ResultJson.Deserialize<CommandEvent>(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The line.</summary>
    public override string ToString() => ResultJson.Serialize(this);
}
