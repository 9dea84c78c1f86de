using SmcDr.Core.Operations;

namespace SmcDr.Core.Drills;

/// <summary>
/// Rehearses recovery on a throwaway PostgreSQL server of this host: destroys its data twice while writers commit, recovers it
/// with the same code that would recover a real one, and compares what came back with what the server had acknowledged. Where this host has a
/// Redis server, one is filled, backed up, destroyed and restored as well.
/// </summary>
public static class Drill
{
    /// <summary>Runs a drill. Whatever happens, no process of it is left, and no file unless <see cref="DrillOptions.Keep"/>.</summary>
    /// <param name="options">How it is run.</param>
    /// <param name="observer">Hears of what the steps do.</param>
    /// <param name="progress">Hears of each step twice: when it begins, with the outcome <c>Running</c>, and when it is over.</param>
    /// <param name="cancellationToken">Stops the drill and removes what it made.</param>
    /// <returns>What was found. A recovery that failed is a result too, with <see cref="DrillResult.Succeeded"/> false.</returns>
    /// <exception cref="SmcException">The drill could not begin: a program or disk space is missing, a directory is unsuitable.</exception>
    public static async Task<DrillResult> RunAsync(
        DrillOptions options, IOperationObserver observer, IProgress<DrillStep>? progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        DrillRun run = await DrillRun.PrepareAsync(options, observer, progress, cancellationToken).ConfigureAwait(false);
        return await run.RunAsync(cancellationToken).ConfigureAwait(false);
    }
}
