using SmcDr.Cli.Output;
using SmcDr.Core.Incidents;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary>What the commands that work on incidents show and tell.</summary>
internal static class IncidentOutput
{
    private static readonly Column<IncidentEntry>[] s_timeline =
    [
        new("Time", static entry => DisplayText.Time(entry.Time)),
        new("Kind", static entry => entry.Phase is { } phase ? $"{entry.Kind}, {phase}" : entry.Kind),
        new("Outcome", static entry => entry.Outcome),
        new("Took", static entry => DisplayText.Duration(entry.Elapsed), IsNumber: true),
        new("By", static entry => entry.By),
        new("Text", static entry => entry.Problem is { } problem ? $"{entry.Text}: {problem}" : entry.Text),
    ];

    /// <summary>Writes an incident with its timeline.</summary>
    public static void Write(CliContext context, IncidentInfo incident) => context.Write(incident, (writer, info) =>
    {
        TableOutput.WriteProperties(
            writer,
            ("Incident", info.IncidentId),
            ("Title", info.Title),
            ("State", $"{info.State}, {DisplayText.Duration(info.Duration)} since {DisplayText.Time(info.StartTime)}"),
            ("Severity", info.Severity.ToString()),
            ("Scenario", info.Scenario.ToString()),
            ("Contacts", string.Join("; ", info.Contacts.Select(static contact => $"{contact.Role}: {contact.Name} {contact.Address}"))),
            ("Phases", string.Join("; ", info.Phases.Select(static phase => $"{phase.Phase} " + (phase.StartTime is { } start
                ? $"since {DisplayText.Time(start)}"
                : $"due at {DisplayText.Time(phase.PlannedTime)}")))),
            ("Summary", info.Summary),
            ("Root cause", info.RootCause));
        TableOutput.Write(writer, info.Timeline, s_timeline, context.IsRichOut);
    });

    /// <summary>Tells the site's channels, unless nobody is to be told, and returns the exit code.</summary>
    public static async Task<int> TellAsync(CliContext context, Site site, IncidentInfo incident, bool isQuiet, CancellationToken cancellationToken)
    {
        IReadOnlyList<AlertResult> results = isQuiet ? [] : await SiteIncidents.TellAsync(
            site,
            incident,
            new AlertSender(site, context.Secrets, context.CreatePlainObserver()),
            AlertSendOptions.FindStateDirectory(context.Host.Environment),
            cancellationToken).ConfigureAwait(false);
        if (AlertSender.FindFailure(results) is not { } failure)
        {
            return ExitCodes.Success;
        }

        ErrorText.Write(context.Host.Error, failure);
        return SmcErrors.Get(failure.Code).ExitCode;
    }
}
