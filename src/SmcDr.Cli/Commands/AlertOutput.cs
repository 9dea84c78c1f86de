using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Notifications;

namespace SmcDr.Cli.Commands;

/// <summary>What became of alerts, as both commands that send show it.</summary>
internal static class AlertOutput
{
    private static readonly Column<AlertResult>[] s_columns =
    [
        new("Channel", static result => result.Channel),
        new("Kind", static result => result.Kind),
        new("State", static result => result.State),
        new("Attempts", static result => result.Attempts.ToString(CultureInfo.InvariantCulture), IsNumber: true),
        new("Duration", static result => DisplayText.Duration(result.Duration), IsNumber: true),
        new("Problem", static result => result.Problem ?? (result.LastSentTime is { } told ? $"told at {DisplayText.Time(told)}" : null)),
    ];

    /// <summary>Writes the results, then the failure where there is one, and returns the exit code.</summary>
    public static int Write(CliContext context, IReadOnlyList<AlertResult> results)
    {
        context.WriteList(results, s_columns, "Nobody was to be told.");
        if (AlertSender.FindFailure(results) is not { } failure)
        {
            return ExitCodes.Success;
        }

        ErrorText.Write(context.Host.Error, failure);
        return SmcErrors.Get(failure.Code).ExitCode;
    }
}
