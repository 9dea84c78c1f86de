using System.Globalization;

namespace SmcDr;

/// <summary>The recovery of a part of a system, measured beside what the site allows.</summary>
public sealed record ComponentRecovery
{
    /// <summary>The component: <c>Database</c>, <c>Redis</c>, <c>Configuration</c> or <c>FileStore</c>.</summary>
    public required string Component { get; init; }

    /// <summary>The name of the file store; none for the others.</summary>
    public string? Subject { get; init; }

    /// <summary>The backup that it was restored from.</summary>
    public required string BackupId { get; init; }

    /// <summary><c>Missed</c> where one of both is, otherwise <c>Met</c>; none without an objective.</summary>
    public string? Verdict => RtoVerdict == ObjectiveVerdict.Missed || RpoVerdict == ObjectiveVerdict.Missed
        ? ObjectiveVerdict.Missed
        : RtoVerdict ?? RpoVerdict;

    /// <summary>From the decision until it was back, in seconds; none where an interruption left nothing to measure it by.</summary>
    public double? RecoverySeconds { get; init; }

    /// <summary>How long that may take.</summary>
    public TimeSpan? Rto { get; init; }

    /// <summary><c>Met</c> or <c>Missed</c>; none without an objective. What was not measured is not met.</summary>
    public string? RtoVerdict => ObjectiveVerdict.Judge(Rto, RecoverySeconds);

    /// <summary>How old, in seconds, the oldest change was that is lost, when it was decided.</summary>
    public required double LossSeconds { get; init; }

    /// <summary>Whether it may be less: of what is backed up from time to time, only the age of the backup is known.</summary>
    public bool LossIsBound { get; init; }

    /// <summary>The longest time whose changes may be lost.</summary>
    public TimeSpan? Rpo { get; init; }

    /// <summary><c>Met</c> or <c>Missed</c>; none without an objective.</summary>
    public string? RpoVerdict => ObjectiveVerdict.Judge(Rpo, LossSeconds);

    /// <summary>The last change that is back, where that is known, in UTC.</summary>
    public DateTimeOffset? RecoveredTime { get; init; }

    /// <summary>It in words.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Component}{(Subject is null ? "" : $" {Subject}")} back after {DisplayText.Seconds(RecoverySeconds)}{Beside(Rto, RtoVerdict)}, " +
        $"{(LossSeconds == 0 ? "nothing" : $"{(LossIsBound ? "up to " : "")}{DisplayText.Seconds(LossSeconds)}")} lost{Beside(Rpo, RpoVerdict)}");

    private static string Beside(TimeSpan? allowed, string? verdict) =>
        verdict is null ? "" : $" (objective {DisplayText.Duration(allowed)}, {(verdict == ObjectiveVerdict.Missed ? "missed" : "met")})";
}
