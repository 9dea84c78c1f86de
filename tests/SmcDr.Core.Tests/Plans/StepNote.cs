using System.Text.Json.Serialization;

namespace SmcDr.Core.Tests.Plans;

/// <summary>What test steps save, and what test plans are built from.</summary>
internal sealed record StepNote(string Text);

[JsonSerializable(typeof(StepNote))]
internal sealed partial class StepNoteJson : JsonSerializerContext;
