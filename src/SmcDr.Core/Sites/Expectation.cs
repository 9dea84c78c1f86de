using System.Globalization;

namespace SmcDr.Core.Sites;

/// <summary>A comparison as the site file writes it, such as <c>&gt; 0</c> or <c>= ready</c>.</summary>
internal sealed class Expectation
{
    // Two characters first: "<=" begins with "<".
    private static readonly string[] s_operators = ["<>", "!=", "<=", ">=", "=", "<", ">"];

    // A double may be written as 1E+16.
    private const NumberStyles Numbers = NumberStyles.Float;

    private readonly string _operator;
    private readonly string _operand;

    private Expectation(string @operator, string operand)
    {
        _operator = @operator;
        _operand = operand;
    }

    /// <summary>Reads a text that <see cref="SiteValueKind.Expectation"/> allows.</summary>
    public static Expectation Parse(string text)
    {
        string found = s_operators.FirstOrDefault(candidate => text.StartsWith(candidate, StringComparison.Ordinal))
            ?? throw new ArgumentException($"'{text}' begins with no comparison.", nameof(text));
        return new Expectation(found, text[found.Length..].Trim());
    }

    /// <summary>Whether a value is as expected: as numbers where both are, else as texts. Null is never.</summary>
    public bool IsMetBy(object? value)
    {
        if (TextOf(value) is not { } text)
        {
            return false;
        }

        if (value is float or double && !double.IsFinite(Convert.ToDouble(value, CultureInfo.InvariantCulture)))
        {
            // No number is more or less than NaN, and where something grew without bound nothing is as it should be.
            return _operator is "<>" or "!=" ? text != _operand : _operator == "=" && text == _operand;
        }

        int order = decimal.TryParse(text, Numbers, CultureInfo.InvariantCulture, out decimal left)
            && decimal.TryParse(_operand, Numbers, CultureInfo.InvariantCulture, out decimal right)
                ? left.CompareTo(right)
                // What is too large for that, such as 1E+30.
                : double.TryParse(text, Numbers, CultureInfo.InvariantCulture, out double wideLeft)
                    && double.TryParse(_operand, Numbers, CultureInfo.InvariantCulture, out double wideRight)
                    ? wideLeft.CompareTo(wideRight)
                    : string.CompareOrdinal(text, _operand);
        return _operator switch
        {
            "=" => order == 0,
            "<>" or "!=" => order != 0,
            "<" => order < 0,
            "<=" => order <= 0,
            ">" => order > 0,
            _ => order >= 0,
        };
    }

    /// <summary>A value as text, as PostgreSQL would write it; null for NULL.</summary>
    public static string? TextOf(object? value) => value switch
    {
        null or DBNull => null,
        bool flag => flag ? "t" : "f",
        DateTime time => time.ToString("yyyy-MM-dd HH:mm:ss.FFFFFF", CultureInfo.InvariantCulture),
        IFormattable other => other.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };
}
