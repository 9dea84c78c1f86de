using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// The server that replays in a helper pod. It listens on the pod's loopback interface alone, to which only port forwarding leads, and is a process of its
/// own there: it goes on when our connections break.
/// </summary>
internal sealed class PodRecoveryServer : IRecoveryServer
{
    private const int Port = 5432;

    // Whoever runs a program of PostgreSQL is not to be misled by variables of the image. $r says how to run as the server's account.
    private const string Environment = """
        for v in $(env | sed -n 's/^\(PG[A-Z_]*\)=.*/\1/p'); do unset "$v"; done
        export LC_ALL=C HOME=/
        cd /

        """;

    // $1 the directory of programs, $2 the data directory, $3 the log, $4 settings.
    private const string StartScript = """
        umask 077
        $r "$1/pg_ctl" start -W -s -D "$2" -l "$3" -p "$1/postgres" -o "$4" < /dev/null > /dev/null 2>&1
        x=$?
        # Asked twice since the connection broke, it may run already.
        [ "$x" = 0 ] || { read -r p < "$2/postmaster.pid" && kill -0 "$p"; } 2>/dev/null || exit 1
        """;

    // $1 the data directory, $2 the log, $3 where to go on in it. A line of state, then what is new in the log: in base64, since it is counted in bytes.
    private const string LookScript = """
        p= s=
        { read -r p; read -r x; read -r x; read -r x; read -r x; read -r x; read -r x; read -r s; } 2>/dev/null < "$1/postmaster.pid"
        a=no
        [ -z "$p" ] || ! kill -0 "$p" 2>/dev/null || a=yes
        echo "$a $s"
        tail -c "+$(($3 + 1))" "$2" 2>/dev/null | head -c 262144 | base64
        exit 0
        """;

    // $1 the directory of programs, $2 the data directory, $3 how, $4 for how many seconds.
    private const string StopScript = """
        read -r p 2>/dev/null < "$2/postmaster.pid" || exit 0
        kill -0 "$p" 2>/dev/null || exit 0
        $r "$1/pg_ctl" stop -w -s -D "$2" -m "$3" -t "$4" > /dev/null && exit 0
        # It may have gone by itself; and one that has ended is seen until the pod's first process has taken note of it.
        [ ! -f "$2/postmaster.pid" ] || ! kill -0 "$p" 2>/dev/null
        """;

    // Whatever is left of a server: nothing else is called so here.
    private const string KillScript = """
        for c in /proc/[0-9]*/comm; do
          { read -r x < "$c"; } 2>/dev/null || continue
          q=${c#/proc/}
          case $x in postgres|postmaster) kill -9 "${q%/comm}" 2>/dev/null ;; esac
        done
        exit 0
        """;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromMinutes(10);
    private readonly PodPlace _place;
    private readonly string _dataDirectory;
    private readonly PodRoute _route;

    public PodRecoveryServer(PodPlace place, string dataDirectory, string serverDirectory)
    {
        (_place, _dataDirectory) = (place, dataDirectory);
        _route = new PodRoute(place.Shell.Client, place.Shell.Target);
        LogFile = serverDirectory + "/recovery.log";
        ConnectionSettings = new Dictionary<string, string>
        {
            ["listen_addresses"] = "127.0.0.1",
            ["unix_socket_directories"] = "",
            ["port"] = Port.ToString(CultureInfo.InvariantCulture),
        };
    }

    public string LogFile { get; }

    public int Major => _place.Major;

    public IReadOnlyDictionary<string, string> ConnectionSettings { get; }

    public PostgresConnector CreateConnector(string superuser) => new(
        new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = Port,
            Username = superuser,
            Database = "template1",
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString,
        null,
        _route);

    public async Task StartAsync(
        IReadOnlyDictionary<string, string> settings, ReplayLog log, Action tick, TimeSpan? timeLimit, CancellationToken cancellationToken)
    {
        bool up = false;
        long begin = log.Offset;
        try
        {
            ExecResult started = await RunAsync(
                StartScript, cancellationToken, _place.BinDirectory, _dataDirectory, LogFile, HostServer.SettingArguments(settings)).ConfigureAwait(false);
            if (started.ExitCode != 0)
            {
                throw Failed($"pg_ctl ends with exit code {started.ExitCode.ToString(CultureInfo.InvariantCulture)}.", await TailAsync(cancellationToken).ConfigureAwait(false));
            }

            Stopwatch watch = Stopwatch.StartNew();
            bool seen = false;
            using PeriodicTimer timer = new(s_poll);
            while (true)
            {
                (bool alive, string status) = await LookAsync(log, cancellationToken).ConfigureAwait(false);
                seen |= alive;
                tick();
                if (alive && status == "ready")
                {
                    up = true;
                    return;
                }

                if (!alive && (seen || watch.Elapsed > s_grace || log.Offset > begin))
                {
                    // It may have written why just after it was looked at.
                    await LookAsync(log, cancellationToken).ConfigureAwait(false);
                    throw Failed(seen ? "it ended again." : "it did not come up.", await TailAsync(cancellationToken).ConfigureAwait(false));
                }

                if (timeLimit is { } limit && watch.Elapsed > limit)
                {
                    throw new SmcException(
                        SmcErrorCode.OperationTimedOut,
                        $"The server in '{_dataDirectory}' in the pod '{_place.Shell.Target}' was not up after {limit.TotalSeconds:0} seconds and was stopped.",
                        target: _dataDirectory);
                }

                await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            if (!up)
            {
                await EndAsync().ConfigureAwait(false);
            }
        }
    }

    public async Task StopAsync(StopMode mode, CancellationToken cancellationToken)
    {
        ExecResult stopped = await RunAsync(
            StopScript,
            cancellationToken,
            _place.BinDirectory,
            _dataDirectory,
            mode == StopMode.Fast ? "fast" : "immediate",
            s_stopLimit.TotalSeconds.ToString(CultureInfo.InvariantCulture)).ConfigureAwait(false);
        if (stopped.ExitCode != 0)
        {
            throw new SmcException(
                SmcErrorCode.OperationTimedOut,
                $"The server in '{_dataDirectory}' in the pod '{_place.Shell.Target}' does not stop: {KubeText.Clean(stopped.Errors, 300)}.",
                target: _dataDirectory);
        }
    }

    public async Task EndAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        try
        {
            await RunAsync(StopScript, limit.Token, _place.BinDirectory, _dataDirectory, "immediate", "10").ConfigureAwait(false);
            await RunAsync(KillScript, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            // With its pod it goes for sure.
        }
    }

    public async Task UpdateAsync(ReplayLog log, CancellationToken cancellationToken)
    {
        for (long before = -1; before != log.Offset;)
        {
            before = log.Offset;
            await LookAsync(log, cancellationToken).ConfigureAwait(false);
        }
    }

    public async Task<string> QuoteLogAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
        try
        {
            return await TailAsync(limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            return "(it cannot be read)";
        }
    }

    public async Task<uint> ReadTimelineAsync(CancellationToken cancellationToken)
    {
        ExecResult result = await RunAsync("\"$1/pg_controldata\" -D \"$2\"", cancellationToken, _place.BinDirectory, _dataDirectory).ConfigureAwait(false);
        string? line = result.Output.Split('\n').FirstOrDefault(static text => text.StartsWith("Latest checkpoint's TimeLineID:", StringComparison.Ordinal));
        return line is not null && uint.TryParse(line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim(), CultureInfo.InvariantCulture, out uint timeline)
            ? timeline
            : throw new SmcException(
                SmcErrorCode.VerificationFailed,
                $"pg_controldata in the pod '{_place.Shell.Target}' does not tell the timeline: {KubeText.Clean(result.Errors, 300)}.",
                target: _dataDirectory);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Task<ExecResult> RunAsync(string script, CancellationToken cancellationToken, params string[] arguments) =>
        _place.Shell.TryRunAsync($"r='{_place.RunAs}'\n{Environment}{script}", cancellationToken, arguments);

    private async Task<(bool Alive, string Status)> LookAsync(ReplayLog log, CancellationToken cancellationToken)
    {
        ExecResult result = await RunAsync(
            LookScript, cancellationToken, _dataDirectory, LogFile, log.Offset.ToString(CultureInfo.InvariantCulture)).ConfigureAwait(false);
        int end = result.Output.IndexOf('\n', StringComparison.Ordinal);
        if (result.ExitCode != 0 || end < 0)
        {
            throw new SmcException(
                SmcErrorCode.PodCommandFailed,
                $"The state of the server in the pod '{_place.Shell.Target}' cannot be read: {KubeText.Clean(result.Errors, 300)}.",
                target: _dataDirectory);
        }

        string[] words = result.Output[..end].Split(' ', 2);
        log.Add(Convert.FromBase64String(result.Output[(end + 1)..]));
        return (words[0] == "yes", words.Length > 1 ? words[1].Trim() : "");
    }

    private async Task<string> TailAsync(CancellationToken cancellationToken) => HostServer.Quote((await RunAsync(
        "tail -n 200 \"$1\" 2>/dev/null; exit 0", cancellationToken, LogFile).ConfigureAwait(false)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));

    private SmcException Failed(string how, string log) => new(
        SmcErrorCode.ServerStartFailed,
        $"The server in '{_dataDirectory}' in the pod '{_place.Shell.Target}' does not start: {how}" + (log.Length > 0 ? $" Its log ends: {log}" : ""),
        target: _dataDirectory);
}
