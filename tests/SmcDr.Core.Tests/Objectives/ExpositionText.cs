using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Tests.Objectives;

/// <summary>A strict reader of Prometheus's text format 0.0.4: what its own parser takes leniently, or refuses, fails here.</summary>
internal static partial class ExpositionText
{
    /// <summary>The samples by name and labels, such as <c>smcdr_loss_seconds{component="Redis",site="a"}</c>, labels sorted.</summary>
    public static IReadOnlyDictionary<string, double> Parse(string text)
    {
        Assert.True(text.Length > 0 && text.EndsWith('\n'), "The last line does not end.");
        Assert.DoesNotContain('\r', text);
        Dictionary<string, double> samples = new(StringComparer.Ordinal);
        HashSet<string> families = new(StringComparer.Ordinal);
        string family = "";
        string? help = null;
        foreach (string line in text[..^1].Split('\n'))
        {
            if (HelpPattern().Match(line) is { Success: true } helped)
            {
                Assert.Null(help);
                help = helped.Groups["name"].Value;
            }
            else if (TypePattern().Match(line) is { Success: true } typed)
            {
                family = typed.Groups["name"].Value;
                Assert.Equal(help, family);
                Assert.True(families.Add(family), $"{family} comes twice.");
                help = null;
            }
            else
            {
                Match sample = SamplePattern().Match(line);
                Assert.True(sample.Success, $"'{line}' is no line of the format.");
                Assert.Null(help);
                Assert.Equal(family, sample.Groups["name"].Value);
                string[] labels = [.. LabelPattern().Matches(sample.Groups["labels"].Value).Select(static label => label.Value)];
                Assert.Equal(sample.Groups["labels"].Value, string.Join(',', labels));
                Assert.Distinct(labels.Select(static label => label[..label.IndexOf('=')]));
                double value = double.Parse(sample.Groups["value"].Value, NumberStyles.Float, CultureInfo.InvariantCulture);
                Assert.True(double.IsFinite(value), line);
                string key = $"{family}{{{string.Join(',', labels.Order(StringComparer.Ordinal))}}}";
                Assert.True(samples.TryAdd(key, value), $"{key} comes twice.");
            }
        }

        Assert.Null(help);
        return samples;
    }

    [GeneratedRegex(@"\A# HELP (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?:[^\\]|\\\\|\\n)+\z")]
    private static partial Regex HelpPattern();

    [GeneratedRegex(@"\A# TYPE (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) gauge\z")]
    private static partial Regex TypePattern();

    [GeneratedRegex(@"\A(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\{(?<labels>.*)\} (?<value>[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\z")]
    private static partial Regex SamplePattern();

    [GeneratedRegex("""[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*"(?=,|$)""")]
    private static partial Regex LabelPattern();
}
