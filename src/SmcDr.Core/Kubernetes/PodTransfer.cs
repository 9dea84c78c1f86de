using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Brings files into and out of containers with nothing but their shell, dd, stat and sha256sum. A connection into a pod may end early and look
/// like the end of the file (kubernetes issues 60140 and 124571): so everything goes in segments, each hashed by both ends, and is used only when
/// the hashes agree. After a cut it goes on behind the last segment that was proven.
/// </summary>
public sealed partial class PodTransfer
{
    /// <summary>How many segments may be on the way or being hashed in the pod.</summary>
    private const int Window = 3;

    // openssl uses the processor's own instructions, coreutils' sha256sum mostly does not; an image need not have it.
    internal const string HashFunction = """
        if command -v openssl >/dev/null 2>&1; then h() { openssl dgst -sha256 -r; }; else h() { sha256sum; }; fi

        """;

    private readonly KubernetesClient _client;
    private readonly PodTransferOptions _options;
    private readonly IOperationObserver _observer;

    public PodTransfer(KubernetesClient client, PodTransferOptions? options = null, IOperationObserver? observer = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        _client = client;
        _options = options ?? new PodTransferOptions();
        _observer = observer ?? NullObserver.Instance;
        if (_options.SegmentSize < 1 << 20 || _options.SegmentSize % (1 << 20) != 0)
        {
            throw new ArgumentException("A segment is a multiple of 1 MiB.", nameof(options));
        }
    }

    /// <summary>Brings a file of this host into a container.</summary>
    public async Task<PodTransferResult> UploadFileAsync(
        string localPath, PodTarget target, string podPath, CancellationToken cancellationToken)
    {
        using FileStream source = new(
            localPath, FileMode.Open, FileAccess.Read, FileShare.Read, 0, FileOptions.Asynchronous | FileOptions.SequentialScan);
        return await UploadAsync(source, source.Length, target, podPath, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Brings a file of a container to this host. What is at <paramref name="localPath"/> is replaced only when all is there.</summary>
    public async Task<PodTransferResult> DownloadFileAsync(
        PodTarget target, string podPath, string localPath, CancellationToken cancellationToken)
    {
        string full = Path.GetFullPath(localPath);
        string part = $"{full}.smcdr-{Guid.NewGuid():N}.part";
        try
        {
            PodTransferResult result;
            using (FileStream destination = new(part, FileMode.CreateNew, FileAccess.Write, FileShare.Read, 0, FileOptions.Asynchronous))
            {
                // On its way to the disk while more of it comes, and not all at the end.
                Action<long, long>? written = _options.Sync ? (offset, length) => Posix.StartWriteback(destination.SafeFileHandle, offset, length) : null;
                result = await DownloadAsync(target, podPath, destination, written, cancellationToken).ConfigureAwait(false);
                if (_options.Sync)
                {
                    destination.Flush(flushToDisk: true);
                }
            }

            File.Move(part, full, _options.Overwrite);
            if (_options.Sync && !OperatingSystem.IsWindows())
            {
                Posix.SyncDirectory(Path.GetDirectoryName(full)!);
            }

            return result;
        }
        catch
        {
            File.Delete(part);
            throw;
        }
    }

    /// <summary>Whether another connection can be expected to do better.</summary>
    internal static bool IsBreak(Exception exception) => exception is IOException
        or SmcException { Code: SmcErrorCode.PodStreamBroken or SmcErrorCode.ClusterUnavailable };

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Runs sessions until <paramref name="run"/> is through: each goes on where the one before has left off.</summary>
    private async Task<int> RunSessionsAsync(
        PodTarget target, string podPath, Func<long> proven, Func<Watchdog, CancellationToken, Task> run, CancellationToken cancellationToken,
        TimeSpan? limit = null)
    {
        TimeSpan stall = limit ?? _options.StallTimeout;
        int breaks = 0;
        int failures = 0;
        while (true)
        {
            long before = proven();
            using Watchdog watchdog = new(stall, cancellationToken);
            Exception failure;
            try
            {
                await run(watchdog, watchdog.Token).ConfigureAwait(false);
                return breaks;
            }
            catch (OperationCanceledException) when (watchdog.HasBarked && !cancellationToken.IsCancellationRequested)
            {
                failure = new SmcException(
                    SmcErrorCode.PodStreamBroken,
                    string.Create(CultureInfo.InvariantCulture, $"Nothing has moved between here and '{podPath}' in the pod '{target}' for {stall.TotalSeconds:0.#} seconds."),
                    target: target.ToString());
            }
            catch (Exception e) when (IsBreak(e))
            {
                failure = e;
            }

            breaks++;
            failures = proven() > before ? 0 : failures + 1;
            if (failures >= _options.MaximumFailures)
            {
                throw failure is SmcException known
                    ? new SmcException(known.Code, known.Message, known, known.Recommendation, known.Target)
                    : new SmcException(
                        SmcErrorCode.PodStreamBroken,
                        string.Create(CultureInfo.InvariantCulture, $"The connection to '{podPath}' in the pod '{target}' broke {failures} times without getting any further: {failure.Message.TrimEnd('.')}."),
                        failure,
                        target: target.ToString());
            }

            _observer.Verbose(string.Create(
                CultureInfo.InvariantCulture,
                $"The connection to '{podPath}' in the pod '{target}' broke ({failure.Message.TrimEnd('.')}); going on at byte {proven()}."));
            double pause = Math.Min(10_000, _options.RetryDelay.TotalMilliseconds * Math.Pow(2, Math.Min(failures, 10)));
            await Task.Delay(TimeSpan.FromMilliseconds(pause * (0.5 + (0.5 * Random.Shared.NextDouble()))), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What a script's exit code means.</summary>
    private static SmcException ScriptFailure(int exitCode, string errors, PodTarget target, string path)
    {
        string said = KubeText.Clean(errors, 300);
        string end = said.Length == 0 ? "" : $": {said}";
        return exitCode switch
        {
            70 => new SmcException(
                SmcErrorCode.ResourceNotFound, $"There is no file '{path}' in the pod '{target}', or it is none that can be read{end}.",
                recommendation: "Check the path; directories and devices are not brought over as files.", target: path),
            71 => new SmcException(
                SmcErrorCode.PodTransferFailed, $"The file '{path}' in the pod '{target}' was changed while it was brought over.",
                recommendation: "Stop what writes to it, then run the command again.", target: path),
            72 => new SmcException(
                SmcErrorCode.PodTransferFailed,
                $"What was brought over to '{path}' in the pod '{target}' is no longer there: the container may have been started anew.",
                recommendation: "Write to a volume and not to the container's own file system, and run the command again.", target: path),
            73 => new SmcException(
                SmcErrorCode.TargetNotEmpty, $"There is a file '{path}' in the pod '{target}' already.", target: path),
            74 when said.Contains("No space left", StringComparison.OrdinalIgnoreCase) => new SmcException(
                SmcErrorCode.DiskSpaceInsufficient, $"There is no room for '{path}' in the pod '{target}'{end}.",
                recommendation: "Make room on the volume or enlarge its claim, then run the command again.", target: path),
            _ => new SmcException(
                SmcErrorCode.PodCommandFailed,
                string.Create(CultureInfo.InvariantCulture, $"Bringing over '{path}' in the pod '{target}' failed there with exit code {exitCode}{end}."),
                recommendation: "The container needs sh, dd (of coreutils or busybox), stat and sha256sum, and the right to use the path.",
                target: path),
        };
    }

    /// <summary>Gives up what does not move any more.</summary>
    private sealed class Watchdog : IDisposable
    {
        private readonly TimeSpan _limit;
        private readonly CancellationTokenSource _timer = new();
        private readonly CancellationTokenSource _either;

        public Watchdog(TimeSpan limit, CancellationToken cancellationToken)
        {
            _limit = limit;
            _either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _timer.Token);
            Feed();
        }

        public CancellationToken Token => _either.Token;

        public bool HasBarked => _timer.IsCancellationRequested;

        public void Feed() => _timer.CancelAfter(_limit);

        public void Dispose()
        {
            _either.Dispose();
            _timer.Dispose();
        }
    }
}
