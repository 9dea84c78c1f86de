using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>What <c>synchronous_standby_names</c> says, as syncrep_gram.y reads it.</summary>
/// <param name="IsAny">Whether any of the standbys count, and not the first ones of the list.</param>
/// <param name="Count">For how many of them commits wait.</param>
/// <param name="Names">The standbys.</param>
public sealed partial record SynchronousStandbys(bool IsAny, int Count, IReadOnlyList<string> Names)
{
    private const string Name = @"(?<name>""(?:[^""]|"""")+""|\*|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[0-9]+)";
    private const string List = Name + @"(?:\s*,\s*" + Name + ")*";

    /// <summary>No standby: no commit waits.</summary>
    public static SynchronousStandbys None { get; } = new(false, 0, []);

    /// <summary>Whether commits wait for every standby of the list. Only to such a list another one can be added without changing what the others mean.</summary>
    public bool RequiresAll => Count == Names.Count && !Names.Contains("*");

    /// <summary>Reads the setting.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SettingUnsuitable"/>: it is not understood.</exception>
    public static SynchronousStandbys Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (string.IsNullOrWhiteSpace(text))
        {
            return None;
        }

        Match match = SettingPattern().Match(text);
        if (!match.Success)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable, $"The setting synchronous_standby_names is '{text}', which is not understood.", target: "synchronous_standby_names");
        }

        string[] names =
        [
            .. match.Groups["name"].Captures.Select(static capture => capture.Value is ['"', .., '"']
                ? capture.Value[1..^1].Replace("\"\"", "\"", StringComparison.Ordinal)
                : capture.Value),
        ];
        int count = match.Groups["count"] is { Success: true } number ? int.Parse(number.Value, CultureInfo.InvariantCulture) : 1;
        return new(match.Groups["any"].Success, count, names);
    }

    /// <summary>Whether a standby is named. Case does not count (SyncRepGetStandbyPriority).</summary>
    public bool Contains(string name) => Names.Contains(name, StringComparer.OrdinalIgnoreCase);

    /// <summary>The same with one more standby that each commit waits for.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SettingUnsuitable"/>: what is there leaves standbys a choice.</exception>
    public SynchronousStandbys With(string name)
    {
        if (Names.Count > 0 && !RequiresAll)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"The setting synchronous_standby_names is '{this}', which lets commits choose among standbys: nothing can be added to it that " +
                    "every commit waits for.",
                recommendation: $"Make every standby in it one that commits wait for, such as FIRST {Names.Count + 1} ({Quote(name)}, …), or leave " +
                    "the setting empty; then start the stream again.",
                target: "synchronous_standby_names");
        }

        return Contains(name) ? this : new(false, Count + 1, [name, .. Names]);
    }

    /// <summary>The same without a standby.</summary>
    public SynchronousStandbys Without(string name)
    {
        string[] left = [.. Names.Where(other => !other.Equals(name, StringComparison.OrdinalIgnoreCase))];
        return left.Length == 0 ? None
            : left.Length == Names.Count ? this
            : new(IsAny, RequiresAll ? left.Length : Math.Min(Count, left.Length), left);
    }

    /// <summary>As the setting is written.</summary>
    public override string ToString()
    {
        string names = string.Join(", ", Names.Select(Quote));
        return Names.Count == 0 ? ""
            : Names.Count == 1 && Count == 1 ? names
            : string.Create(CultureInfo.InvariantCulture, $"{(IsAny ? "ANY" : "FIRST")} {Count} ({names})");
    }

    private static string Quote(string name) => name == "*" ? name : $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    [GeneratedRegex(
        @"\A\s*(?:(?:(?<any>ANY\s)|FIRST\s)?\s*(?<count>[0-9]+)\s*\(\s*" + List + @"\s*\)|" + List + @")\s*\z",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex SettingPattern();
}
