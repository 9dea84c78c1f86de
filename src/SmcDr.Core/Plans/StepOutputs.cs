using System.Collections.Concurrent;
using System.Text.Json;

namespace SmcDr.Core.Plans;

/// <summary>What the steps of a plan have saved.</summary>
internal sealed class StepOutputs
{
    private readonly ConcurrentDictionary<string, JsonElement> _outputs = new(StringComparer.Ordinal);

    public JsonElement? Find(string step) => _outputs.TryGetValue(step, out JsonElement output) ? output : null;

    public void Set(string step, JsonElement output) => _outputs[step] = output;
}
