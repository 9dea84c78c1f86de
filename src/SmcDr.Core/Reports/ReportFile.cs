using SmcDr.Core.Platform;

namespace SmcDr.Core.Reports;

/// <summary>Writes reports.</summary>
internal static class ReportFile
{
    /// <summary>Whether a report at a path is Markdown; else it is HTML.</summary>
    public static bool IsMarkdown(string path) => Path.GetExtension(path).ToLowerInvariant() is ".md" or ".markdown";

    /// <summary>The file of the chart that belongs to a report in Markdown, which can hold none.</summary>
    public static string ChartOf(string path) => Path.ChangeExtension(path, ".svg");

    /// <summary>Writes a file, which is replaced as a whole.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: it cannot be written.</exception>
    public static async Task WriteAsync(string path, string text, CancellationToken cancellationToken)
    {
        try
        {
            await WholeFile.WriteAsync(path, text, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"The report '{path}' cannot be written: {e.Message}",
                e,
                recommendation: "Name a file in a directory that this account may write to.",
                target: path);
        }
    }
}
