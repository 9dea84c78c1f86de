using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Notifications;

/// <summary>The forms that an alert has on the ways that it goes.</summary>
internal static class AlertText
{
    // What Slack takes: https://docs.slack.dev/reference/block-kit/blocks/section-block
    private const int SlackText = 2900;
    private const int SlackField = 1900;
    private const int SlackFields = 10;

    private static readonly JsonSerializerOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The title as it is shown: what it is about, and how bad it is.</summary>
    public static string Headline(Alert alert) =>
        $"[{(alert.IsResolved ? "RESOLVED" : alert.Severity.ToString().ToUpperInvariant())}] {alert.Site}: {alert.Title}";

    /// <summary>The document that a generic webhook receives.</summary>
    public static byte[] ToJson(Alert alert)
    {
        JsonObject fields = [];
        foreach (AlertField field in alert.Fields)
        {
            fields[field.Name] = field.Value;
        }

        return Encode(new JsonObject
        {
            ["version"] = 1,
            ["source"] = Alert.Source,
            ["site"] = alert.Site,
            ["state"] = alert.IsResolved ? "resolved" : "firing",
            ["severity"] = alert.Severity.ToString().ToLowerInvariant(),
            ["key"] = alert.Key,
            ["title"] = alert.Title,
            ["text"] = alert.Text,
            ["fields"] = fields,
            ["time"] = alert.Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            ["host"] = alert.Host,
        });
    }

    /// <summary>The message that Slack receives; <c>text</c> is what telephones show, and old clients.</summary>
    public static byte[] ToSlack(Alert alert)
    {
        string colour = alert.IsResolved ? "#2eb67d" : alert.Severity switch
        {
            AlertSeverity.Critical => "#b00020",
            AlertSeverity.Error => "#e01e5a",
            AlertSeverity.Warning => "#ecb22e",
            _ => "#36c5f0",
        };
        JsonArray blocks = [Section($"*{Escape(Headline(alert))}*")];
        if (alert.Text.Length > 0)
        {
            blocks.Add((JsonNode)Section(Alert.Cut(Escape(alert.Text), SlackText)));
        }

        foreach (AlertField[] chunk in alert.Fields.Chunk(SlackFields))
        {
            blocks.Add((JsonNode)new JsonObject
            {
                ["type"] = "section",
                ["fields"] = new JsonArray([.. chunk.Select(static field => (JsonNode)Markdown(Alert.Cut($"*{Escape(field.Name)}*\n{Escape(field.Value)}", SlackField)))]),
            });
        }

        blocks.Add((JsonNode)new JsonObject
        {
            ["type"] = "context",
            ["elements"] = new JsonArray(Markdown(Escape($"{DisplayText.Time(alert.Time)} · {alert.Host} · {Alert.Source}"))),
        });
        return Encode(new JsonObject
        {
            ["text"] = Escape(Headline(alert)),
            ["attachments"] = new JsonArray(new JsonObject { ["color"] = colour, ["fallback"] = Escape(Headline(alert)), ["blocks"] = blocks }),
        });
    }

    /// <summary>The body of a mail.</summary>
    public static string ToMail(Alert alert)
    {
        StringBuilder text = new();
        text.Append(alert.Title).Append("\n\n");
        if (alert.Text.Length > 0)
        {
            text.Append(alert.Text).Append("\n\n");
        }

        IEnumerable<AlertField> facts =
        [
            .. alert.Fields,
            new AlertField("Severity", alert.IsResolved ? $"{alert.Severity}, resolved" : alert.Severity.ToString()),
            new AlertField("Site", alert.Site),
            new AlertField("Time", DisplayText.Time(alert.Time)),
            new AlertField("Host", alert.Host),
        ];
        foreach (AlertField fact in facts)
        {
            text.Append(fact.Name).Append(": ").Append(fact.Value.Replace("\n", "\n  ", StringComparison.Ordinal)).Append('\n');
        }

        return text.Append("\n-- \n").Append(Alert.Source).Append('\n').ToString();
    }

    private static JsonObject Section(string markdown) => new() { ["type"] = "section", ["text"] = Markdown(markdown) };

    private static JsonObject Markdown(string text) => new() { ["type"] = "mrkdwn", ["text"] = text };

    /// <summary>The three characters that Slack asks to be escaped: else a title could mention a whole channel.</summary>
    private static string Escape(string text) => text
        .Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal);

    private static byte[] Encode(JsonObject message) => Encoding.UTF8.GetBytes(message.ToJsonString(s_json));
}
