using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Notifications;

/// <summary>What people are told, before any channel gives it a form.</summary>
public sealed record Alert
{
    /// <summary>A title has to fit on the lock screen of a telephone, and into the header of a Slack message.</summary>
    public const int MaximumTitle = 150;

    private const int MaximumText = 20_000;
    private const int MaximumFields = 40;
    private const int MaximumValue = 2_000;

    private Alert()
    {
    }

    public required string Site { get; init; }

    public required AlertSeverity Severity { get; init; }

    public required string Title { get; init; }

    /// <summary>More, in lines; empty where the title says it all.</summary>
    public required string Text { get; init; }

    public required IReadOnlyList<AlertField> Fields { get; init; }

    /// <summary>What tells it from other alerts of the site.</summary>
    public required string Key { get; init; }

    /// <summary>Whether it says that what was told under its key is over.</summary>
    public required bool IsResolved { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>The host that tells it.</summary>
    public required string Host { get; init; }

    /// <summary>Who says it.</summary>
    internal static string Source => $"smcdr {Repository.ToolVersion}";

    /// <summary>Makes an alert; what is too long is cut, so that no channel refuses it.</summary>
    /// <param name="site">The site.</param>
    /// <param name="severity">How much it matters.</param>
    /// <param name="title">What happened, in a line.</param>
    /// <param name="text">More; null = nothing.</param>
    /// <param name="fields">Facts that go with it.</param>
    /// <param name="key">What tells it from other alerts; null = its title.</param>
    /// <param name="isResolved">Whether it is over.</param>
    /// <param name="time">When it is told.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there is no title.</exception>
    public static Alert Create(
        string site,
        AlertSeverity severity,
        string title,
        string? text,
        IEnumerable<AlertField> fields,
        string? key,
        bool isResolved,
        DateTimeOffset time)
    {
        ArgumentNullException.ThrowIfNull(fields);
        string line = OneLine(title ?? "");
        if (line.Length == 0)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "The alert has no title.",
                recommendation: "Say in a line what happened, with -Title (or --title).");
        }

        return new Alert
        {
            Site = site,
            Severity = severity,
            Title = Cut(line, MaximumTitle),
            Text = Cut(Clean(text ?? ""), MaximumText),
            Fields =
            [
                .. fields.Where(static field => !string.IsNullOrWhiteSpace(field.Name)).Take(MaximumFields)
                    .Select(static field => new AlertField(Cut(OneLine(field.Name), MaximumTitle), Cut(Clean(field.Value ?? ""), MaximumValue))),
            ],
            Key = OneLine(key ?? line),
            IsResolved = isResolved,
            Time = time,
            Host = Environment.MachineName,
        };
    }

    /// <summary>The same without anything that is a secret of the channels, or looks like one of somebody else's.</summary>
    internal Alert Without(SecretText secrets) => this with
    {
        Title = secrets.Hide(Title),
        Text = secrets.Hide(Text),
        Fields = [.. Fields.Select(field => new AlertField(secrets.Hide(field.Name), secrets.Hide(field.Value)))],
        Key = secrets.Hide(Key),
    };

    /// <summary>Cuts a text, and never within a pair of surrogates.</summary>
    internal static string Cut(string text, int length)
    {
        if (text.Length <= length)
        {
            return text;
        }

        int end = length - 1;
        return string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[end - 1]) ? end - 1 : end), "…");
    }

    // Control characters could forge headers, or move the cursor of who reads mail on a terminal.
    private static string OneLine(string text) => Clean(text).ReplaceLineEndings(" ").Replace('\t', ' ').Trim();

    private static string Clean(string text)
    {
        StringBuilder clean = new(text.Length);
        foreach (char c in text.ReplaceLineEndings("\n"))
        {
            if (c is '\n' or '\t' || !char.IsControl(c))
            {
                clean.Append(c);
            }
        }

        return clean.ToString();
    }
}
