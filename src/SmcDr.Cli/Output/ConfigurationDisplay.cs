namespace SmcDr.Cli.Output;

/// <summary>Objects of a configuration for people, each as soon as it is known: thousands are not held back for the width of a column.</summary>
internal static class ConfigurationDisplay
{
    private const int Width = 14;

    /// <param name="writer">Where to.</param>
    /// <param name="result">What became of an object.</param>
    /// <param name="all">Whether objects that are as they were are told as well.</param>
    public static void Write(TextWriter writer, ConfigurationRestoreResult result, bool all)
    {
        if (result is { Action: "Same", State: not "Failed" } && !all)
        {
            return;
        }

        string what = result.State is "Failed" or "NeedsReplace" ? result.State : result.Action;
        writer.WriteLine(ErrorText.OneLine($"{what.PadRight(Width)}{result}"));
        foreach (ConfigurationFieldChange change in result.Changes)
        {
            WriteBelow(writer, change.ToString());
        }

        WriteBelow(writer, result.Error);
        WriteBelow(writer, result.State is "Failed" or "NeedsReplace" || all ? result.Detail : null);
        WriteBelow(writer, result.Recommendation);
    }

    public static void Write(TextWriter writer, ConfigurationDifference difference)
    {
        writer.WriteLine(ErrorText.OneLine($"{difference.Difference.PadRight(Width)}{difference}"));
        foreach (ConfigurationFieldChange change in difference.Changes)
        {
            WriteBelow(writer, change.ToString());
        }
    }

    private static void WriteBelow(TextWriter writer, string? text)
    {
        if (!string.IsNullOrEmpty(text))
        {
            writer.WriteLine(ErrorText.OneLine(new string(' ', Width) + text));
        }
    }
}
