namespace SmcDr.Core.Objectives;

/// <summary>Metrics in a file for the textfile collector of Prometheus's node_exporter, which reads it at any moment: it is replaced as a whole.</summary>
public static class MetricsFile
{
    /// <summary>Writes the file.</summary>
    /// <param name="path">Its full path; node_exporter reads names that end in <c>.prom</c> only.</param>
    /// <param name="text">The metrics.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: it cannot be written.</exception>
    public static async Task WriteAsync(string path, string text, CancellationToken cancellationToken)
    {
        string full = Path.GetFullPath(path);
        // Not *.prom: the collector would read it half written.
        string temporary = $"{full}.{Environment.ProcessId}.new";
        try
        {
            FileStream file = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None);
            await using (file.ConfigureAwait(false))
            {
                await file.WriteAsync(System.Text.Encoding.UTF8.GetBytes(text), cancellationToken).ConfigureAwait(false);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, full, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"The metrics file '{full}' cannot be written: {e.Message}",
                e,
                recommendation: "Name a file in a directory that is there and that this account may write to.",
                target: full);
        }
        finally
        {
            Remove(temporary);
        }
    }

    /// <summary>Measures, and where a file is named writes it in any case: an alarm must hear of a measurement that failed, too.</summary>
    /// <param name="site">The site's name.</param>
    /// <param name="measure">The measurement.</param>
    /// <param name="path">The file; null = none.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task<IReadOnlyList<ObjectiveResult>> MeasureAsync(
        string site, Func<CancellationToken, Task<IReadOnlyList<ObjectiveResult>>> measure, string? path, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(measure);
        long start = TimeProvider.System.GetTimestamp();
        IReadOnlyList<ObjectiveResult>? results = null;
        try
        {
            return results = await measure(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (path is not null && !cancellationToken.IsCancellationRequested)
            {
                string text = ObjectiveMetrics.Format(site, results, DateTimeOffset.UtcNow, TimeProvider.System.GetElapsedTime(start));
                await WriteAsync(path, text, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static void Remove(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What led to it is told.
        }
    }
}
