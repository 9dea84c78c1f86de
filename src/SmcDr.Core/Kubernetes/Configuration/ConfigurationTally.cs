using System.Globalization;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>Counts what a restore did with its objects, so that every front end says the same at its end.</summary>
public sealed class ConfigurationTally
{
    private readonly SortedDictionary<string, int> _counts = new(StringComparer.Ordinal);
    private string? _first;

    /// <summary>How many objects there were.</summary>
    public int Total { get; private set; }

    /// <summary>How many were not restored, or cannot be.</summary>
    public int Failed { get; private set; }

    /// <summary>How many were created, changed or replaced.</summary>
    public int Written { get; private set; }

    public void Add(ConfigurationRestoreResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        Total++;
        string what = result.State is "Failed" or "NeedsReplace" ? result.State : result.Action;
        _counts[what] = _counts.GetValueOrDefault(what) + 1;
        if (result.State is "Failed" or "NeedsReplace")
        {
            Failed++;
            _first ??= result.ToString();
        }
        else if (result is { State: "Done", Action: "Create" or "Change" or "Replace" })
        {
            Written++;
        }
    }

    /// <summary>The counts in words, such as <c>12 to create, 3 the same</c>.</summary>
    public string Describe(bool isPlan)
    {
        string[] parts =
        [
            .. _counts.Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Value} {Word(pair.Key, isPlan)}")),
        ];
        return parts.Length == 0 ? "nothing matches" : string.Join(", ", parts);
    }

    /// <summary>What there is to say where not everything was restored, or would be; null where it was.</summary>
    public SmcException? ToError(string backupId, bool isPlan) => Failed == 0 ? null : new SmcException(
        SmcErrorCode.ConfigurationIncomplete,
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Failed} of {Total} objects of the backup '{backupId}' {(isPlan ? "would not be" : "were not")} restored, the first of them '{_first}'."),
        target: backupId);

    private static string Word(string what, bool isPlan) => what switch
    {
        "Create" => isPlan ? "to create" : "created",
        "Change" => isPlan ? "to change" : "changed",
        "Replace" => isPlan ? "to replace" : "replaced",
        "Same" => "the same",
        "Skip" => "skipped",
        "NeedsReplace" => "to be replaced, which needs -Force (--force)",
        _ => isPlan ? "that would fail" : "failed",
    };
}
