using System.Collections.Concurrent;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Plans;

/// <summary>How long steps took in the site's earlier plans, and so how long they will take.</summary>
public sealed class PlanHistory
{
    private const int Plans = 40;
    private const int Samples = 5;
    private const int ParallelReads = 8;

    private readonly IReadOnlyDictionary<string, IReadOnlyList<Sample>> _samples;

    private PlanHistory(IReadOnlyDictionary<string, IReadOnlyList<Sample>> samples) => _samples = samples;

    /// <summary>A history without anything in it.</summary>
    internal static PlanHistory Empty { get; } = new(new Dictionary<string, IReadOnlyList<Sample>>());

    /// <summary>Reads the ends of the newest plans. What cannot be read teaches nothing.</summary>
    public static async Task<PlanHistory> LoadAsync(Repository repository, string site, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        string[] ids = [.. (await PlanJournal.ListIdsAsync(repository, site, cancellationToken).ConfigureAwait(false)).Take(Plans)];
        ConcurrentDictionary<string, PlanEnd> ends = new(StringComparer.Ordinal);
        await Parallel.ForEachAsync(
            ids,
            new ParallelOptions { MaxDegreeOfParallelism = ParallelReads, CancellationToken = cancellationToken },
            async (id, token) =>
            {
                try
                {
                    if (await PlanJournal.TryReadEndAsync(repository, site, id, token).ConfigureAwait(false) is { } end && end.PlanId == id)
                    {
                        ends[id] = end;
                    }
                }
                catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
                {
                    // A prediction that lacks one of its samples is still one.
                }
            }).ConfigureAwait(false);

        Dictionary<string, List<Sample>> samples = new(StringComparer.Ordinal);
        foreach (EndedStep step in ids.Select(ends.GetValueOrDefault).OfType<PlanEnd>().SelectMany(static end => end.Steps))
        {
            if (step is { State: PlanStepState.Succeeded, ElapsedSeconds: { } seconds })
            {
                samples.TryAdd(step.Key, []);
                if (samples[step.Key].Count < Samples)
                {
                    samples[step.Key].Add(new Sample(seconds, step.SizeBytes));
                }
            }
        }

        return new PlanHistory(samples.ToDictionary(
            static entry => entry.Key, static entry => (IReadOnlyList<Sample>)entry.Value, StringComparer.Ordinal));
    }

    /// <summary>
    /// How long a step will take, in seconds: the median of the newest five times that it was done without an interruption, each in proportion to
    /// its bytes where both say how many. Null where it never was.
    /// </summary>
    public double? Predict(string step, long? sizeBytes)
    {
        if (!_samples.TryGetValue(step, out IReadOnlyList<Sample>? samples))
        {
            return null;
        }

        double[] seconds =
        [
            .. samples.Select(sample => sizeBytes is > 0 && sample.SizeBytes is > 0
                ? sample.Seconds * sizeBytes.Value / sample.SizeBytes.Value
                : sample.Seconds).Order(),
        ];
        int middle = seconds.Length / 2;
        return seconds.Length % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
    }

    private sealed record Sample(double Seconds, long? SizeBytes);
}
