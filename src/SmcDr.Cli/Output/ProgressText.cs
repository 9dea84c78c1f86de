using System.Globalization;
using SmcDr.Core.Operations;

namespace SmcDr.Cli.Output;

/// <summary>A progress in words.</summary>
internal static class ProgressText
{
    public static string Describe(OperationProgress progress)
    {
        string done = Amount(progress.Done, progress.Unit);
        string amount = progress.Total is { } total ? $"{done} of {Amount(total, progress.Unit)}" : progress.Done > 0 ? done : "";
        string[] parts = [progress.Activity, progress.Status, amount];
        return string.Join(", ", parts.Where(static part => part.Length > 0));
    }

    private static string Amount(long count, ProgressUnit unit) =>
        unit == ProgressUnit.Bytes ? DisplayText.Size(count) : count.ToString(CultureInfo.InvariantCulture);
}
