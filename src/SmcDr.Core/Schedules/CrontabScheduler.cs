using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>Schedules as lines of this account's crontab, between two marks. What stands outside of them is not touched.</summary>
/// <param name="site">The site.</param>
/// <param name="host">What runs on this host.</param>
/// <param name="crontab">The program that reads and writes the crontab.</param>
internal sealed class CrontabScheduler(Site site, HostSchedule host, string crontab = "crontab") : IScheduler
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public ScheduleKind Kind => ScheduleKind.Crontab;

    /// <inheritdoc/>
    public string Target => $"the crontab of {Environment.UserName}";

    private string Begin => $"# BEGIN schedules of SmcDr for the site '{site.Name}': Register-SmcSchedule writes what stands here anew";

    private string End => $"# END schedules of SmcDr for the site '{site.Name}'";

    /// <inheritdoc/>
    public IReadOnlyList<ScheduleDocument> Write(IReadOnlyList<ScheduledWork> work)
    {
        // CRON_TZ is known to cronie alone, and rules over all lines behind it.
        if (!TimeZoneInfo.Local.HasSameRules(ScheduledWork.ZoneOf(site)))
        {
            throw new SmcException(
                SmcErrorCode.ScheduleUnsuitable,
                $"cron goes by this host's time zone, {TimeZoneInfo.Local.Id}, and the site's schedules are in {ScheduledWork.ZoneNameOf(site)}.",
                recommendation: $"Write the schedules in this host's time zone, with 'timeZone: {TimeZoneInfo.Local.Id}' beside them, or use timers of systemd.",
                target: site.Name);
        }

        string variables = SiteSecrets.VariablesOf(site).Count > 0 ? $"set -a; . {Quote(host.EnvironmentFile)}; set +a; " : "";
        return
        [
            .. work.Select(one =>
            {
                string name = ScheduleNames.Of(site, one.Task);
                string command = string.Join(' ', host.Command(one.Task).Append("--quiet").Select(Quote));
                // "Percent-signs in the command, unless escaped with backslash, will be changed into newline characters" (crontab(5)).
                string line = $"{one.Schedule.ToCrontab()} {(variables + command).Replace("%", "\\%", StringComparison.Ordinal)}\n";
                return new ScheduleDocument(one, name, command, [($"{name}.crontab", line)]);
            }),
        ];
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<(string Name, string State)>> RegisterAsync(
        IReadOnlyList<ScheduleDocument> documents, IOperationObserver observer, CancellationToken cancellationToken)
    {
        string all = await ReadAsync(cancellationToken).ConfigureAwait(false);
        (string before, string own, string after) = Split(all);
        string block = documents.Count == 0 ? "" : $"{Begin}\n{string.Concat(documents.Select(static document => document.Text))}{End}\n";
        string text = before + block + after;
        if (text != all)
        {
            // Nothing that cron would not take is installed: crontab(1) looks first.
            ProgramResult result = await HostProgram.RunAsync(
                crontab, ["-"], new ProgramOptions { TimeLimit = s_limit, Input = text }, cancellationToken).ConfigureAwait(false);
            if (result.ExitCode != 0)
            {
                throw Failed("-", result);
            }
        }

        HashSet<string> lines = [.. own.Split('\n')];
        HashSet<string> kept = [.. documents.Select(static document => document.Name)];
        return
        [
            .. NamesIn(own).Where(name => !kept.Contains(name)).Select(static name => (name, "Removed")),
            .. documents.Select(document => (
                document.Name,
                lines.Contains(document.Text.TrimEnd('\n')) ? "Same" : NamesIn(own).Contains(document.Name) ? "Changed" : "Created")),
        ];
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken) =>
        NamesIn(Split(await ReadAsync(cancellationToken).ConfigureAwait(false)).Own);

    private static string Quote(string argument) => argument.All(static c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_')
        ? argument
        : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static SmcException Failed(string argument, ProgramResult result) => new(
        SmcErrorCode.ScheduleUnsuitable, $"'crontab {argument}' failed: {result.Tail}.", recommendation: "Correct the cause and run the command again; the crontab is as it was.");

    /// <summary>The tasks of a block, by the names that they have elsewhere.</summary>
    private IReadOnlyList<string> NamesIn(string block) =>
        [.. ScheduledWork.Tasks.Where(task => block.Split('\n').Any(line => line.Contains($" schedule run {task} ", StringComparison.Ordinal))).Select(task => ScheduleNames.Of(site, task))];

    private async Task<string> ReadAsync(CancellationToken cancellationToken)
    {
        ProgramResult result = await HostProgram.RunAsync(crontab, ["-l"], new ProgramOptions { TimeLimit = s_limit }, cancellationToken).ConfigureAwait(false);
        return result.ExitCode == 0 ? result.Output
            // All implementations say so, and nothing else tells it from a crontab that cannot be read.
            : result.Error.Contains("no crontab for", StringComparison.OrdinalIgnoreCase) ? ""
            : throw Failed("-l", result);
    }

    private (string Before, string Own, string After) Split(string all)
    {
        int begin = all.IndexOf(Begin + "\n", StringComparison.Ordinal);
        if (begin < 0)
        {
            return (all.Length == 0 || all.EndsWith('\n') ? all : all + "\n", "", "");
        }

        int end = all.IndexOf(End, begin, StringComparison.Ordinal);
        if (end < 0)
        {
            throw new SmcException(
                SmcErrorCode.ScheduleUnsuitable,
                $"The crontab has the line '{Begin}', and not the line '{End}' behind it.",
                recommendation: "Remove what belongs to the schedules by 'crontab -e', with that line, and run the command again.");
        }

        int rest = all.IndexOf('\n', end) is var feed && feed < 0 ? all.Length : feed + 1;
        return (all[..begin], all[begin..rest], all[rest..]);
    }
}
