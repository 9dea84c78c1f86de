using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Recovery;

/// <summary>
/// What is written into a restored <c>postgresql.auto.conf</c>: one marked block at its end, and left-over settings of the backup's
/// server that would steer the recovery commented out.
/// </summary>
internal static partial class RecoveryConfiguration
{
    public const string FileName = "postgresql.auto.conf";
    public const string SignalName = "recovery.signal";
    public const string StandbySignalName = "standby.signal";

    private const string Begin = "# SmcDr recovery: begin. This block is removed when the recovery is done.";
    private const string End = "# SmcDr recovery: end.";
    private const string IsolationBegin =
        "# SmcDr side instance: begin. Without these settings it would archive, and connect, as the production server that it is a copy of.";

    private const string IsolationEnd = "# SmcDr side instance: end.";
    private const string StandbyBegin = "# SmcDr standby: begin. With these settings it follows its primary, from the repository where that cannot be reached.";
    private const string StandbyEnd = "# SmcDr standby: end.";
    private const string Reason = "# Commented out by SmcDr, left over from the backup's server and in the way of a recovery: ";

    // Two targets at once are fatal (xlogrecovery.c, error_multiple_recovery_targets), the others choose another source or end.
    private static readonly HashSet<string> s_leftOvers = new(StringComparer.OrdinalIgnoreCase)
    {
        "recovery_target", "recovery_target_name", "recovery_target_time", "recovery_target_xid", "recovery_target_lsn",
        "recovery_target_inclusive", "recovery_target_timeline", "recovery_target_action", "restore_command",
        "recovery_end_command", "archive_cleanup_command", "primary_conninfo", "primary_slot_name", "recovery_min_apply_delay",
        "promote_trigger_file", "data_directory", "hba_file", "ident_file", "external_pid_file",
        // Nobody of these follows the recovered server: its first commit would wait for ever.
        "synchronous_standby_names",
        // From 17 on: logical senders would wait for slots of which none is in a backup.
        "synchronized_standby_slots",
    };

    /// <summary>The settings of a recovery, in the order in which they must stand.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Settings(RecoveryTarget? stopAt, uint timeline, string restoreCommand)
    {
        List<KeyValuePair<string, string>> settings =
        [
            // What an operator must not trip over who starts the server by hand in between.
            new("archive_mode", "off"),
            new("primary_conninfo", ""),
            new("primary_slot_name", ""),
            new("max_logical_replication_workers", "0"),
            new("recovery_min_apply_delay", "0"),
            new("recovery_end_command", ""),
            new("archive_cleanup_command", ""),
            new("restore_command", restoreCommand),
            new("recovery_target_timeline", timeline.ToString(CultureInfo.InvariantCulture)),
            new("recovery_target_action", "promote"),
            new("recovery_target_inclusive", stopAt is { Inclusive: false } ? "off" : "on"),
        ];

        // Each is set, so that one left over in another configuration file loses; the one that is meant comes last, because
        // assigning an empty one forgets a target that was set before it.
        (string Name, RecoveryTargetKind Kind)[] targets =
        [
            ("recovery_target", RecoveryTargetKind.Immediate),
            ("recovery_target_name", RecoveryTargetKind.Name),
            ("recovery_target_time", RecoveryTargetKind.Time),
            ("recovery_target_xid", RecoveryTargetKind.Xid),
            ("recovery_target_lsn", RecoveryTargetKind.Lsn),
        ];
        settings.AddRange(targets.Where(t => t.Kind != stopAt?.Kind).Select(static t => new KeyValuePair<string, string>(t.Name, "")));
        settings.AddRange(targets.Where(t => t.Kind == stopAt?.Kind).Select(t => new KeyValuePair<string, string>(t.Name, stopAt!.Value!)));
        return settings;
    }

    /// <summary>The content of the file with the block in it. An earlier block is replaced.</summary>
    public static string Add(string content, IEnumerable<KeyValuePair<string, string>> settings)
    {
        StringBuilder result = WithoutLeftOvers(Remove(content));
        AppendBlock(result, Begin, settings, End);
        return result.ToString();
    }

    /// <summary>The content of the file with settings at its end that isolate the server for good. An earlier block is replaced.</summary>
    public static string AddIsolation(string content, IEnumerable<KeyValuePair<string, string>> settings)
    {
        StringBuilder result = new(Remove(content, IsolationBegin, IsolationEnd));
        AppendBlock(result, IsolationBegin, settings, IsolationEnd);
        return result.ToString();
    }

    /// <summary>The content of the file with settings at its end by which the server follows a primary. An earlier block is replaced.</summary>
    public static string AddStandby(string content, IEnumerable<KeyValuePair<string, string>> settings)
    {
        StringBuilder result = WithoutLeftOvers(Remove(Remove(content), StandbyBegin, StandbyEnd));
        AppendBlock(result, StandbyBegin, settings, StandbyEnd);
        return result.ToString();
    }

    /// <summary>The content of the file without the block.</summary>
    public static string Remove(string content) => Remove(content, Begin, End);

    private static StringBuilder WithoutLeftOvers(string content)
    {
        StringBuilder result = new();
        foreach (string line in Lines(content))
        {
            Match match = SettingPattern().Match(line);
            if (match.Success && s_leftOvers.Contains(match.Groups[1].Value))
            {
                result.Append(Reason);
            }

            result.Append(line).Append('\n');
        }

        return result;
    }

    private static void AppendBlock(StringBuilder result, string begin, IEnumerable<KeyValuePair<string, string>> settings, string end)
    {
        result.Append(begin).Append('\n');
        foreach ((string name, string value) in settings)
        {
            result.Append(CultureInfo.InvariantCulture, $"{name} = {Quote(value)}\n");
        }

        result.Append(end).Append('\n');
    }

    private static string Remove(string content, string begin, string end)
    {
        StringBuilder result = new();
        bool inside = false;
        foreach (string line in Lines(content))
        {
            inside |= line == begin;
            if (!inside)
            {
                result.Append(line).Append('\n');
            }

            inside &= line != end;
        }

        return result.ToString();
    }

    /// <summary>A value as PostgreSQL's configuration files take it (guc-file.l, DeescapeQuotedString).</summary>
    public static string Quote(string value) =>
        $"'{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}'";

    private static IEnumerable<string> Lines(string content)
    {
        string[] lines = content.Split('\n');
        return lines[^1].Length == 0 ? lines.SkipLast(1) : lines;
    }

    [GeneratedRegex(@"\A\s*([A-Za-z_][A-Za-z0-9_$.]*)\s*(?:=|\s)", RegexOptions.CultureInvariant)]
    private static partial Regex SettingPattern();
}
