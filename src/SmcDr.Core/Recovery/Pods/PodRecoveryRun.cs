using System.Text;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// A recovery on a volume, through a helper pod. Unlike on a host the new directory is replayed beside the previous one, and gets to its place when all is
/// proven: nothing tells a server in another pod that one is at work on the same files, so there must never be two that would be.
/// </summary>
internal sealed class PodRecoveryRun : RecoveryRun, IAsyncDisposable
{
    /// <summary>How long who stages may be silent before the server gives up, in seconds: a break of the connection must not end a recovery.</summary>
    private const int Patience = 180;

    // $1 the data directory, $2 where it goes, $3 the new one. Nobody must find no data directory there: images make an empty cluster then. May be run
    // again.
    private const string RenameScript = """
        [ -d "$3" ] || { [ -d "$1" ] && exit 0; exit 72; }
        if [ -n "$2" ] && [ -d "$1" ]; then
          [ ! -e "$2" ] || exit 73
          mv "$1" "$2" || exit 74
        fi
        [ ! -d "$1" ] || rmdir "$1" || exit 73
        mv "$3" "$1" || exit 74
        sync "${1%/*}" "${3%/*}" 2>/dev/null || sync
        """;

    // The same where the data directory is the root of the volume, in two steps: what is in it goes to $2, and what is in $2 takes its place.
    private const string EmptyScript = """
        cd "$1" || exit 72
        [ -n "$2" ] || exit 0
        mkdir -p "$2" || exit 74
        for f in * .[!.]* ..?*; do
          [ -e "$f" ] || [ -L "$f" ] || continue
          case $f in lost+found|smcdr.*) continue ;; esac
          mv "$f" "$2/" || exit 74
        done
        chmod 700 "$2"
        sync . "$2" 2>/dev/null || sync
        """;

    private const string FillScript = """
        cd "$1" || exit 72
        [ -d "$2" ] || exit 0
        for f in "$2"/* "$2"/.[!.]* "$2"/..?*; do
          [ -e "$f" ] || [ -L "$f" ] || continue
          case $f in */global) continue ;; esac
          mv "$f" . || exit 74
        done
        # With it comes the control file: without it no server starts here.
        [ ! -d "$2/global" ] || mv "$2/global" . || exit 74
        rmdir "$2" || exit 73
        sync . 2>/dev/null || sync
        """;

    private readonly PodPlace _place;
    private readonly PodStagingFolder _staging;

    public PodRecoveryRun(
        RecoveryPlan plan, PodPlace place, PodRecoveryState state, IOperationObserver observer, Action<RecoveryPhase>? afterPhase)
        : base(plan, state, observer, afterPhase)
    {
        _place = place;
        _staging = new PodStagingFolder(place.Shell, state.StagingDirectory, place.Owner, observer);
    }

    /// <summary>The order of the phases, for whoever asks how far a journal is.</summary>
    public static IReadOnlyList<RecoveryPhase> Phases { get; } =
    [
        RecoveryPhase.Begun, RecoveryPhase.Fetched, RecoveryPhase.Configured, RecoveryPhase.Recovered, RecoveryPhase.Cleaned, RecoveryPhase.Moved,
        RecoveryPhase.Done,
    ];

    protected override IReadOnlyList<RecoveryPhase> Order => Phases;

    protected override string RestoreDirectory => State.NewDirectory;

    protected override string ServerDataDirectory => State.NewDirectory;

    public ValueTask DisposeAsync() => _staging.DisposeAsync();

    protected override IStagingFolder CreateStagingFolder() => _staging;

    protected override async Task<string> WriteRestoreScriptAsync(string script, CancellationToken cancellationToken)
    {
        string? owner = _place.Owner is { } given ? $"0:{given.Split(':')[1]}" : null;
        await _place.Shell.WriteAsync(
            $"{State.Root}/{RecoveryScripts.RestoreWalName}", Encoding.UTF8.GetBytes(script), "640", owner, cancellationToken).ConfigureAwait(false);
        return RecoveryScripts.RestoreCommand(State.Root, Patience);
    }

    // A server that an interrupted run has left went with its pod.
    protected override Task BeforeFetchAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override async Task<BaseRestoreResult?> RestoreFilesAsync(CancellationToken cancellationToken)
    {
        // The control file is the last that is written there.
        string control = $"{State.NewDirectory}/{ControlFile.RelativePath}";
        return (await _place.Shell.TryRunAsync("[ -f \"$1\" ]", cancellationToken, control).ConfigureAwait(false)).ExitCode == 0
            ? null
            : await new PodBaseRestore(_place.Shell, State.NewDirectory, State.Root, _place.Owner, Observer)
                .RunAsync(Plan.Reader, Plan.Manifest, Plan.Request.Parallelism ?? 3, cancellationToken).ConfigureAwait(false);
    }

    protected override Task SyncRestoredAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override Task LinkTablespacesAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override async Task<IRecoveryServer> OpenServerAsync(CancellationToken cancellationToken)
    {
        PodRecoveryServer server = new(_place, ServerDataDirectory, State.ServerDirectory);
        await server.EndAsync().ConfigureAwait(false);
        // Processes of a new pod have the numbers that those of the last one had: PostgreSQL would believe its old lock file.
        await DeleteFileAsync($"{ServerDataDirectory}/postmaster.pid", cancellationToken).ConfigureAwait(false);
        return server;
    }

    protected override Task CheckReplayedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override Task SettleAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override async Task MoveAsync(CancellationToken cancellationToken)
    {
        string? destination = Progress.Moves.LastOrDefault(move => move.Path == DataDirectory)?.Destination;
        if (destination is null && _place.HasData)
        {
            destination = Plan.Moves.Single(move => move.Path == DataDirectory).Destination;
            await AppendAsync(new RecoveryMove(DataDirectory, destination), cancellationToken).ConfigureAwait(false);
        }

        if (_place.IsVolumeRoot)
        {
            // Once what was there lies aside and that is journaled, what lies there is new.
            if (Progress.Moves.All(move => move.Path != State.NewDirectory))
            {
                await RunAsync("Moving the previous data aside", EmptyScript, cancellationToken, DataDirectory, destination ?? "").ConfigureAwait(false);
                await AppendAsync(new RecoveryMove(State.NewDirectory, DataDirectory), cancellationToken).ConfigureAwait(false);
            }

            await RunAsync("Putting the recovered data in its place", FillScript, cancellationToken, DataDirectory, State.NewDirectory).ConfigureAwait(false);
        }
        else
        {
            await RunAsync(
                "Putting the recovered data directory in its place", RenameScript, cancellationToken, DataDirectory, destination ?? "", State.NewDirectory)
                .ConfigureAwait(false);
        }

        if (destination is not null)
        {
            Observer.Verbose($"What was in '{DataDirectory}' lies in '{destination}' on the same volume.");
        }

        await AppendAsync(RecoveryPhase.Moved, cancellationToken).ConfigureAwait(false);
    }

    // The workload starts it.
    protected override Task FinishAsync(CancellationToken cancellationToken) => AppendAsync(RecoveryPhase.Done, cancellationToken);

    protected override bool IsRunning() => false;

    protected override string? ReplayBuffers(string? own) =>
        _place.MemoryLimit is { } limit && ReplayMemory.TryGetSharedBuffers(own, limit, out string buffers) ? buffers : null;

    protected override async Task<string?> TryReadAsync(string path, CancellationToken cancellationToken)
    {
        ExecResult result = await _place.Shell.TryRunAsync("[ -f \"$1\" ] || exit 72; base64 < \"$1\"", cancellationToken, path).ConfigureAwait(false);
        return result.ExitCode switch
        {
            0 => LosslessText.Decode(Convert.FromBase64String(result.Output)),
            72 => null,
            _ => throw new SmcException(
                SmcErrorCode.PodCommandFailed, $"'{path}' in the pod '{_place.Shell.Target}' cannot be read: {KubeText.Clean(result.Errors, 300)}.", target: path),
        };
    }

    protected override Task WriteAsync(string path, string content, CancellationToken cancellationToken) =>
        _place.Shell.WriteAsync(path, LosslessText.Encode(content), "600", _place.Owner, cancellationToken);

    protected override Task DeleteFileAsync(string path, CancellationToken cancellationToken) =>
        _place.Shell.RunAsync($"Removing '{path}'", "rm -f \"$1\"", cancellationToken, path);

    protected override Task DeleteDirectoryAsync(string path, CancellationToken cancellationToken) =>
        _place.Shell.RunAsync($"Removing '{path}'", "rm -rf \"$1\"", cancellationToken, path);

    private async Task RunAsync(string what, string script, CancellationToken cancellationToken, params string[] arguments)
    {
        ExecResult result = await _place.Shell.TryRunAsync(script, cancellationToken, arguments).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw new SmcException(
                SmcErrorCode.RecoveryFailed,
                $"{what} in the pod '{_place.Shell.Target}' failed with exit code {result.ExitCode.ToString(System.Globalization.CultureInfo.InvariantCulture)}: " +
                    $"{KubeText.Clean(result.Errors, 300)}.",
                recommendation: "Look at what is on the volume; nothing on it was deleted. Run the command again to go on from here.",
                target: DataDirectory);
        }
    }
}
