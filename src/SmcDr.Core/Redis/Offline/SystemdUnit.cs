using SmcDr.Core.Recovery;

namespace SmcDr.Core.Redis.Offline;

/// <summary>A service of systemd. Where systemd owns a server, nobody else can stop it: what ends by itself it starts again.</summary>
/// <param name="name">The unit, such as <c>redis-server.service</c>.</param>
/// <param name="program">The program that speaks to systemd.</param>
internal sealed class SystemdUnit(string name, string program)
{
    private static readonly TimeSpan s_shortLimit = TimeSpan.FromSeconds(30);

    public string Name => name;

    /// <summary>What it starts: the program and its arguments; empty where the unit does not say that in one command.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: there is no such unit, or no systemd.</exception>
    public async Task<IReadOnlyList<string>> ReadCommandAsync(CancellationToken cancellationToken)
    {
        ProgramResult result = await RunAsync(["show", name, "--property=LoadState,ExecStart"], s_shortLimit, cancellationToken).ConfigureAwait(false);
        string? state = Property(result.Output, "LoadState");
        if (result.ExitCode != 0 || state is not "loaded")
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"systemd on this host has no service '{name}': {(result.ExitCode != 0 ? result.Tail : $"it is {state ?? "not known"}")}.",
                recommendation: "Correct 'service' in the site file; 'systemctl list-units' shows what there is.",
                target: name);
        }

        return ParseCommand(Property(result.Output, "ExecStart"));
    }

    /// <summary>Stops it, and returns when its processes are gone.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ServerStopFailed"/>.</exception>
    public async Task StopAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        ProgramResult result = await RunAsync(["stop", name], limit, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw new SmcException(SmcErrorCode.ServerStopFailed, $"systemd does not stop '{name}': {result.Tail}.", target: name);
        }
    }

    /// <summary>Starts it and does not wait: a server that loads for long is not up for systemd, and it says less than the server does.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ServerStartFailed"/>.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        // One that failed too often of late is not started again otherwise.
        await RunAsync(["reset-failed", name], s_shortLimit, cancellationToken).ConfigureAwait(false);
        ProgramResult result = await RunAsync(["start", "--no-block", name], s_shortLimit, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw new SmcException(SmcErrorCode.ServerStartFailed, $"systemd does not start '{name}': {result.Tail}.", target: name);
        }
    }

    /// <summary>Whether it has ended, or will not start.</summary>
    public async Task<bool> HasEndedAsync(CancellationToken cancellationToken)
    {
        ProgramResult result = await RunAsync(["show", name, "--property=ActiveState"], s_shortLimit, cancellationToken).ConfigureAwait(false);
        return Property(result.Output, "ActiveState") is "failed" or "inactive";
    }

    /// <summary>
    /// The arguments in <c>{ path=/usr/bin/redis-server ; argv[]=/usr/bin/redis-server /etc/redis/redis.conf … ; ignore_errors=no ; … }</c>.
    /// </summary>
    internal static IReadOnlyList<string> ParseCommand(string? execStart)
    {
        const string Begin = "argv[]=";
        int start = execStart?.IndexOf(Begin, StringComparison.Ordinal) ?? -1;
        if (start < 0 || execStart!.IndexOf(Begin, start + 1, StringComparison.Ordinal) >= 0)
        {
            return [];
        }

        string rest = execStart[(start + Begin.Length)..];
        int end = rest.IndexOf(" ;", StringComparison.Ordinal);
        return end < 0 ? [] : rest[..end].Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string? Property(string output, string property) => output.Split('\n')
        .FirstOrDefault(line => line.StartsWith(property + "=", StringComparison.Ordinal))?[(property.Length + 1)..].Trim();

    private async Task<ProgramResult> RunAsync(string[] arguments, TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            return await HostProgram.RunAsync(program, arguments, new ProgramOptions { TimeLimit = limit }, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ProgramNotFound)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"The service '{name}' is systemd's, and systemctl cannot be run here: {e.Message}",
                e,
                "Run the command on the server's host, outside of containers.",
                name);
        }
    }
}
