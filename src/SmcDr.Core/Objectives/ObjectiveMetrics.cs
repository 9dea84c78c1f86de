using System.Globalization;
using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Objectives;

/// <summary>Results as Prometheus reads them, in its text format 0.0.4. What is not known has no sample.</summary>
public static class ObjectiveMetrics
{
    /// <summary>The media type of the format.</summary>
    public const string MediaType = "text/plain; version=0.0.4; charset=utf-8";

    private static readonly string[] s_verdicts = ["Met", "AtRisk", "Unknown", "Missed"];

    /// <summary>The metrics of a measurement.</summary>
    /// <param name="site">The site.</param>
    /// <param name="results">What was measured; null where it failed: old numbers would look like present ones.</param>
    /// <param name="time">When the measurement ended.</param>
    /// <param name="duration">How long it took.</param>
    public static string Format(string site, IReadOnlyCollection<ObjectiveResult>? results, DateTimeOffset time, TimeSpan duration)
    {
        StringBuilder text = new();
        (string, string)[] own = [("site", site)];
        Write("smcdr_build_info", "The version of SmcDr; always 1.", [([.. own, ("version", Repository.ToolVersion)], 1)]);
        Write("smcdr_measurement_success", "Whether the last measurement came to an end.", [(own, results is null ? 0 : 1)]);
        Write("smcdr_measurement_timestamp_seconds", "When the last measurement ended.", [(own, Unix(time))]);
        Write("smcdr_measurement_duration_seconds", "How long it took.", [(own, duration.TotalSeconds)]);
        WriteEach("smcdr_objective_rpo_seconds", "The longest time whose changes may be lost.", static result => result.Rpo?.TotalSeconds);
        WriteEach("smcdr_objective_rto_seconds", "The longest time until the component works again.", static result => result.Rto?.TotalSeconds);
        WriteEach("smcdr_loss_seconds", "The age of the oldest change that would be lost if the component were gone now.", static result => result.LossSeconds);
        WriteEach("smcdr_loss_is_bound", "Whether the loss may be less than that.", static result => result.LossSeconds is null ? null : result.LossIsBound ? 1 : 0);
        WriteEach("smcdr_loss_bytes", "The write-ahead log that would be lost.", static result => result.LossBytes);
        WriteEach("smcdr_predicted_recovery_seconds", "How long a recovery is predicted to take.", static result => result.PredictedRecoverySeconds);
        WriteEach("smcdr_measured_recoveries", "How many earlier recoveries the prediction is made of.", static result => result.MeasuredRecoveryCount);
        Write(
            "smcdr_objective_used_ratio",
            "How much of an objective is used up; above 1 it is missed.",
            (results ?? []).SelectMany(static result => new[]
            {
                (Labels(result, ("objective", "rpo")), result.LossSeconds / result.Rpo?.TotalSeconds),
                (Labels(result, ("objective", "rto")), result.PredictedRecoverySeconds / result.Rto?.TotalSeconds),
            }));
        Write(
            "smcdr_objective_verdict",
            "1 for the verdict that holds, 0 for the others.",
            (results ?? []).SelectMany(static result => new[] { ("rpo", result.RpoVerdict), ("rto", result.RtoVerdict) }
                .Where(static pair => pair.Item2 is not null)
                .SelectMany(pair => s_verdicts
                    .Select(verdict => (Labels(result, ("objective", pair.Item1), ("verdict", verdict)), (double?)(pair.Item2 == verdict ? 1 : 0))))));
        WriteEach("smcdr_backup_timestamp_seconds", "When the newest backup began.", static result => Unix(result.BackupTime));
        WriteEach("smcdr_backup_size_bytes", "What it holds.", static result => result.BackupBytes);
        WriteEach("smcdr_recoverable_timestamp_seconds", "The commit time of the newest transaction that can be recovered.", static result => Unix(result.RecoverableTime));
        WriteEach("smcdr_wal_replay_bytes", "The write-ahead log that a recovery would replay.", static result => result.WalBytes);
        WriteEach("smcdr_wal_streaming", "Whether a WAL stream gives signs of life.", static result => result.IsStreaming is { } is1 ? is1 ? 1 : 0 : null);
        WriteEach("smcdr_proven_timestamp_seconds", "The newest point that a recovery has really brought back.", static result => Unix(result.ProvenTime));
        WriteEach("smcdr_recovery_timestamp_seconds", "When the last recovery that was measured began.", static result => Unix(result.LastRecoveryTime));
        return text.ToString();

        void WriteEach(string name, string help, Func<ObjectiveResult, double?> value) =>
            Write(name, help, (results ?? []).Select(result => (Labels(result), value(result))));

        void Write(string name, string help, IEnumerable<((string Name, string Value)[] Labels, double? Value)> samples)
        {
            bool isFirst = true;
            foreach (((string Name, string Value)[] labels, double? value) in samples)
            {
                if (value is not { } number || !double.IsFinite(number))
                {
                    continue;
                }

                if (isFirst)
                {
                    text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(" gauge\n");
                    isFirst = false;
                }

                text.Append(name).Append('{').AppendJoin(',', labels.Select(static label => $"{label.Name}=\"{Escape(label.Value)}\""))
                    .Append("} ").Append(number.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
            }
        }
    }

    private static (string, string)[] Labels(ObjectiveResult result, params (string, string)[] more) =>
        [("site", result.Site), ("component", result.Component), ("subject", result.Subject ?? ""), .. more];

    private static double? Unix(DateTimeOffset? time) => time is { } at ? at.ToUnixTimeMilliseconds() / 1000.0 : null;

    private static string Escape(string value) => value
        .Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal);
}
