using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>
/// Schedules as timers of systemd. A timer never starts a service that still runs, and makes up for a run that was missed while the host was off.
/// </summary>
internal sealed class SystemdScheduler : IScheduler
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly Site _site;
    private readonly HostSchedule _host;
    private readonly string _directory;
    private readonly bool _isSystem;
    private readonly string _systemctl;
    private readonly bool _isRunning;

    /// <param name="site">The site.</param>
    /// <param name="host">What runs on this host.</param>
    /// <param name="directory">Where units are put; null = this account's place.</param>
    /// <param name="systemctl">The program that speaks to systemd.</param>
    /// <param name="isRunning">Whether systemd runs this host; null = look.</param>
    public SystemdScheduler(Site site, HostSchedule host, string? directory, string systemctl = "systemctl", bool? isRunning = null)
    {
        _site = site;
        _host = host;
        _isSystem = Environment.UserName == "root";
        _directory = directory ?? (_isSystem ? "/etc/systemd/system" : PathText.Resolve("~/.config/systemd/user"));
        _systemctl = systemctl;
        _isRunning = isRunning ?? IsSystemdRunning;
    }

    /// <summary>Whether systemd runs this host (sd_booted(3)).</summary>
    public static bool IsSystemdRunning => Directory.Exists("/run/systemd/system");

    /// <inheritdoc/>
    public ScheduleKind Kind => ScheduleKind.SystemdTimer;

    /// <inheritdoc/>
    public string Target => _directory;

    // By this a unit is known as one of the site's: another that happens to have such a name is not touched.
    private string Mark => $"# A schedule of SmcDr for the site '{_site.Name}'; Register-SmcSchedule writes it anew, Unregister-SmcSchedule removes it.";

    /// <inheritdoc/>
    public IReadOnlyList<ScheduleDocument> Write(IReadOnlyList<ScheduledWork> work) => [.. work.Select(one =>
    {
        string name = ScheduleNames.Of(_site, one.Task);
        return new ScheduleDocument(
            one, name, string.Join(' ', _host.Command(one.Task)), [($"{name}.service", Service(name, one)), ($"{name}.timer", Timer(one))]);
    })];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<(string Name, string State)>> RegisterAsync(
        IReadOnlyList<ScheduleDocument> documents, IOperationObserver observer, CancellationToken cancellationToken)
    {
        HashSet<string> kept = [.. documents.Select(static document => document.Name)];
        string[] gone = [.. (await ListAsync(cancellationToken).ConfigureAwait(false)).Where(name => !kept.Contains(name))];
        if (gone.Length > 0)
        {
            await ControlAsync(["disable", "--now", .. gone.Select(static name => name + ".timer")], observer, cancellationToken).ConfigureAwait(false);
        }

        List<(string Name, string State)> states = [];
        bool hasChanged = gone.Length > 0;
        try
        {
            foreach (string name in gone)
            {
                File.Delete(Path.Combine(_directory, name + ".timer"));
                File.Delete(Path.Combine(_directory, name + ".service"));
                states.Add((name, "Removed"));
            }

            foreach (ScheduleDocument document in documents)
            {
                string state = "Same";
                foreach ((string file, string text) in document.Files)
                {
                    string path = Path.Combine(_directory, file);
                    string? before = File.Exists(path) ? await File.ReadAllTextAsync(path, cancellationToken).ConfigureAwait(false) : null;
                    if (before is not null && !before.StartsWith(Mark, StringComparison.Ordinal))
                    {
                        throw new SmcException(
                            SmcErrorCode.ScheduleUnsuitable, $"'{path}' is there, and is not a schedule of this site.", recommendation: "Move it aside.", target: path);
                    }

                    if (before != text)
                    {
                        state = before is null ? "Created" : "Changed";
                        hasChanged = true;
                        await HostSchedule.WriteFileAsync(path, text, cancellationToken).ConfigureAwait(false);
                    }
                }

                states.Add((document.Name, state));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw HostSchedule.Unwritable(_directory, e);
        }

        if (hasChanged)
        {
            await ControlAsync(["daemon-reload"], observer, cancellationToken).ConfigureAwait(false);
        }

        if (documents.Count > 0)
        {
            await ControlAsync(["enable", "--now", .. documents.Select(static document => document.Name + ".timer")], observer, cancellationToken).ConfigureAwait(false);
        }

        return states;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken)
    {
        List<string> names = [];
        string[] found = Directory.Exists(_directory) ? Directory.GetFiles(_directory, ScheduleNames.Prefix(_site) + "-*.timer") : [];
        foreach (string path in found.Order(StringComparer.Ordinal))
        {
            if ((await File.ReadAllTextAsync(path, cancellationToken).ConfigureAwait(false)).StartsWith(Mark, StringComparison.Ordinal))
            {
                names.Add(Path.GetFileNameWithoutExtension(path));
            }
        }

        return names;
    }

    private async Task ControlAsync(IReadOnlyList<string> arguments, IOperationObserver observer, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> all = _isSystem ? arguments : ["--user", .. arguments];
        if (!_isRunning)
        {
            observer.Warning($"systemd does not run here. Where it does: systemctl {string.Join(' ', all)}");
            return;
        }

        ProgramResult result = await HostProgram.RunAsync(_systemctl, all, new ProgramOptions { TimeLimit = s_limit }, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw new SmcException(
                SmcErrorCode.ScheduleUnsuitable,
                $"'systemctl {string.Join(' ', all)}' failed: {result.Tail}.",
                recommendation: $"Correct the cause and run the command again; the units are in '{_directory}'.",
                target: _directory);
        }
    }

    private string Service(string name, ScheduledWork work)
    {
        StringBuilder text = new();
        text.Append(Mark).Append('\n')
            .Append("[Unit]\n")
            .Append("Description=SmcDr: ").Append(work.Task).Append(" of the site ").Append(Escape(_site.Name)).Append('\n')
            .Append("Wants=network-online.target\nAfter=network-online.target\n\n")
            .Append("[Service]\nType=oneshot\n")
            // Of oneshot it is endless by default, and a unit that is still starting is not started again (systemd.service(5)).
            .Append("TimeoutStartSec=").Append((long)ScheduledWork.LimitOf(_site, work.Task).TotalSeconds).Append('\n');
        if (SiteSecrets.VariablesOf(_site).Count > 0)
        {
            text.Append("EnvironmentFile=").Append(Escape(_host.EnvironmentFile)).Append('\n');
        }

        // Of what was told to whom, so that nothing is told each time; without a user there is no home to keep it in.
        return text.Append("StateDirectory=smcdr\nEnvironment=SMCDR_STATE_DIR=%S/smcdr\n")
            .Append("SyslogIdentifier=").Append(name).Append('\n')
            .Append("ExecStart=").AppendJoin(' ', _host.Command(work.Task).Select(Quote)).Append('\n')
            .ToString();
    }

    private string Timer(ScheduledWork work)
    {
        StringBuilder text = new();
        text.Append(Mark).Append('\n')
            .Append("[Unit]\n")
            .Append("Description=SmcDr: when ").Append(work.Task).Append(" of the site ").Append(Escape(_site.Name)).Append(" is due\n\n")
            .Append("[Timer]\n");
        foreach (string calendar in work.Schedule.ToCalendar(ScheduledWork.ZoneNameOf(_site)))
        {
            text.Append("OnCalendar=").Append(calendar).Append('\n');
        }

        return text.Append("Persistent=true\n\n[Install]\nWantedBy=timers.target\n").ToString();
    }

    /// <summary>An argument in a command line of systemd (systemd.service(5), "COMMAND LINES").</summary>
    private static string Quote(string argument) => argument.All(static c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_')
        ? argument
        : $"\"{Escape(argument).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("$", "$$", StringComparison.Ordinal)}\"";

    private static string Escape(string text) => text.Replace("%", "%%", StringComparison.Ordinal);
}
