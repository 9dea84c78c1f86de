using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Plans;

/// <summary>What a step has to hand while it is at work.</summary>
public sealed class StepContext
{
    private readonly string _step;
    private readonly StepOutputs _outputs;
    private readonly Func<JsonElement, CancellationToken, Task> _save;

    internal StepContext(
        string step,
        string? planId,
        bool isRetry,
        StepOutputs outputs,
        Func<JsonElement, CancellationToken, Task> save,
        IOperationObserver observer)
    {
        (_step, _outputs, _save) = (step, outputs, save);
        (PlanId, IsRetry, Observer) = (planId, isRetry, observer);
    }

    /// <summary>The plan's id; null where it keeps no journal.</summary>
    public string? PlanId { get; }

    /// <summary>Whether the step was begun before and may be done in part.</summary>
    public bool IsRetry { get; }

    /// <summary>Hears of the step's work.</summary>
    public IOperationObserver Observer { get; }

    /// <summary>How much was handled, in bytes, where the step knows it better now than before.</summary>
    public long? SizeBytes { get; set; }

    /// <summary>What a restore of the system has come to, where the step has measured that.</summary>
    public SystemRestoreResult? Recovery { get; set; }

    /// <summary>What leading the site to another region has come to, where the step has measured that.</summary>
    public RegionFailoverResult? Failover { get; set; }

    /// <summary>
    /// Keeps something small in the journal, durable when this returns: what this step must know if it is asked again, such as where it moves a
    /// thing before it does, and what later steps need. It replaces what the step has saved before. Never a secret: whoever reads the repository reads it.
    /// </summary>
    public async Task SaveAsync<T>(T value, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        JsonElement output = JsonSerializer.SerializeToElement(value, type);
        await _save(output, cancellationToken).ConfigureAwait(false);
        _outputs.Set(_step, output);
    }

    /// <summary>What this step has saved, in this run or an earlier one; null where nothing.</summary>
    public T? GetSaved<T>(JsonTypeInfo<T> type)
        where T : class => GetOutput(_step, type);

    /// <summary>What another step has saved; null where nothing.</summary>
    public T? GetOutput<T>(string step, JsonTypeInfo<T> type)
        where T : class => _outputs.Find(step) is { } output ? output.Deserialize(type) : null;
}
