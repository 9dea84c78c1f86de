using System.Buffers;
using System.Globalization;
using System.Text;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>A folder on a volume with staged WAL.</summary>
internal sealed class PodStagingFolder : IStagingFolder, IAsyncDisposable
{
    private readonly PodShell _shell;
    private readonly string _directory;
    private readonly string? _group;
    private readonly PodTreeWriter _writer;
    private readonly IOperationObserver _observer;
    private int _number;

    /// <param name="shell">The pod.</param>
    /// <param name="directory">The folder.</param>
    /// <param name="owner">The server's user and group, where the container runs as root.</param>
    /// <param name="observer">Hears of breaks.</param>
    public PodStagingFolder(PodShell shell, string directory, string? owner, IOperationObserver observer)
    {
        (_shell, _directory, _observer) = (shell, directory, observer);
        // Our own user, and the server's group, which may read. A segment is the server's own, as on a host.
        _group = owner is null ? null : $"0:{owner.Split(':')[1]}";
        _writer = new PodTreeWriter(shell, directory, "077", directory, "/dev/null", observer, owner);
    }

    // One for each file: readable by the server's group, which is its own where there is no root.
    private const string Mode = "640";

    public async Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken) => (await _shell
        .RunAsync($"Listing '{_directory}'", "ls -A \"$1\"", cancellationToken, _directory).ConfigureAwait(false))
        .Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public Task WriteAsync(string name, string content, CancellationToken cancellationToken) =>
        _shell.WriteAsync($"{_directory}/{name}", Encoding.UTF8.GetBytes(content), Mode, _group, cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken) =>
        _shell.RunAsync($"Removing '{name}'", "rm -f \"$1\"", cancellationToken, $"{_directory}/{name}");

    public async Task FetchAsync(WalArchive archive, WalItem item, CancellationToken cancellationToken)
    {
        byte[] content = ArrayPool<byte>.Shared.Rent(item.SegmentSize);
        try
        {
            await archive.ReadAsync(item, content, cancellationToken).ConfigureAwait(false);
            string name = item.Name.ToString();
            string arriving = ".arriving-" + name;
            int number = Interlocked.Increment(ref _number);
            await _writer.PutAsync(number, new PodTreePart(arriving, 0, item.SegmentSize), content.AsMemory(0, item.SegmentSize), cancellationToken)
                .ConfigureAwait(false);
            await _writer.SealAsync(number, arriving, name, Mode, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(content);
        }
    }

    public async Task BeatAsync(long beat, CancellationToken cancellationToken)
    {
        try
        {
            // The pod's first process is always there; whether somebody stages is told by the number, which changes.
            await _shell.RunAsync(
                "Leaving a sign of life",
                """printf '1 %s\n' "$2" > "$1/.staging-tmp" && chmod 640 "$1/.staging-tmp" && { [ -z "$3" ] || chown "$3" "$1/.staging-tmp"; } && mv -f "$1/.staging-tmp" "$1/.staging" """,
                cancellationToken,
                _directory, beat.ToString(CultureInfo.InvariantCulture), _group ?? "").ConfigureAwait(false);
        }
        catch (SmcException e) when (beat > 0)
        {
            // One that is missed does no harm, and what is really broken is met by what brings the segments.
            _observer.Verbose($"A sign of life in the pod '{_shell.Target}' failed: {e.Message}");
        }
    }

    public Task SyncAsync(CancellationToken cancellationToken) =>
        _shell.RunAsync($"Making '{_directory}' durable", "sync \"$1\" 2>/dev/null || sync", cancellationToken, _directory);

    public ValueTask DisposeAsync() => _writer.DisposeAsync();
}
