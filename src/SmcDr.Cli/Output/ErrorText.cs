namespace SmcDr.Cli.Output;

/// <summary>Errors in three lines: what happened, what to do next, and the id to look up.</summary>
internal static class ErrorText
{
    public static void Write(TextWriter writer, SmcException error)
    {
        writer.WriteLine($"Error: {OneLine(error.Message)}");
        writer.WriteLine($"Next:  {OneLine(error.Recommendation)}");
        writer.WriteLine($"Id:    {error.ErrorId}");
    }

    /// <summary>Text on one line, without what a terminal would obey: messages quote servers and files.</summary>
    public static string OneLine(string text) =>
        string.Create(text.Length, text, static (line, text) =>
        {
            for (int i = 0; i < text.Length; i++)
            {
                line[i] = char.IsControl(text[i]) ? ' ' : text[i];
            }
        });
}
