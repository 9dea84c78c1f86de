using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes;

public sealed partial class PodTransfer
{
    // $1 the file, $2 where to begin, $3 the segment's size, $4 how the file was at first (empty: it is the first time). Bytes go to the output;
    // what is told about them, to the errors, always before they come: all is on one connection, and who waits for a digest behind bytes that
    // nobody takes waits for ever. The shell ends only when the reader says that it has all: with it the connection is torn down, and what is
    // still on the way would be lost (kubernetes issue 60140). When the reader is gone its input ends; nobody else would end a dd that
    // writes to nobody, so the shell then kills its process group, if that is its own.
    private const string DownloadScript = HashFunction + """
        p=$1 o=$2 g=$3
        [ -f "$p" ] && [ -r "$p" ] || exit 70
        i=$(stat -L -c '%s %Y %i' "$p") || exit 70
        [ -z "$4" ] || [ "$4" = "$i" ] || exit 71
        echo "smcdr file $i" >&2
        s=${i%% *}
        read -r x x x x k x < /proc/$$/stat
        exec 3<&0
        ( read -r x <&3; [ "$x" = done ] || [ "$k" != $$ ] || kill -9 -- "-$$" ) > /dev/null 2>&1 &
        w=$!
        trap 'kill "$w" 2>/dev/null' EXIT
        t() {
          x=$(dd if="$p" bs=65536 skip=$(($1 / 65536)) count=$((g / 65536)) 2>/dev/null | h)
          echo "smcdr hash $1 ${x%% *}" >&2
        }
        [ "$o" -ge "$s" ] || t "$o"
        while [ "$o" -lt "$s" ]; do
          n=$((o + g))
          t "$n" &
          j=$!
          dd if="$p" bs=65536 skip=$((o / 65536)) count=$((g / 65536)) 2>/dev/null || exit 75
          wait "$j"
          o=$n
        done
        j=$(stat -L -c '%s %Y %i' "$p") || exit 71
        [ "$i" = "$j" ] || exit 71
        echo "smcdr end" >&2
        wait "$w"
        exit 0
        """;

    /// <summary>Brings a file of a container into a stream, which gets proven bytes only, each once and in order.</summary>
    /// <exception cref="SmcException">The file is not there, was changed meanwhile, or could not be brought over whole.</exception>
    public Task<PodTransferResult> DownloadAsync(
        PodTarget target, string podPath, Stream destination, CancellationToken cancellationToken) =>
        DownloadAsync(target, podPath, destination, null, cancellationToken);

    /// <param name="written">Hears where bytes were written to the destination, and how many.</param>
    private async Task<PodTransferResult> DownloadAsync(
        PodTarget target, string podPath, Stream destination, Action<long, long>? written, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentException.ThrowIfNullOrEmpty(podPath);
        ArgumentNullException.ThrowIfNull(destination);
        long start = Stopwatch.GetTimestamp();
        string activity = $"Download of {podPath}";
        Download download = new(this, target, podPath, destination, written, activity);
        try
        {
            int breaks = await RunSessionsAsync(target, podPath, () => download.Proven, download.RunAsync, cancellationToken).ConfigureAwait(false);
            return new PodTransferResult(download.Proven, breaks, Stopwatch.GetElapsedTime(start));
        }
        finally
        {
            _observer.Progress(new OperationProgress(activity, "", download.Proven) { IsCompleted = true });
        }
    }

    private sealed class Download(
        PodTransfer owner, PodTarget target, string path, Stream destination, Action<long, long>? written, string activity)
    {
        private readonly byte[][] _buffers = [[], []];
        private string? _identity;
        private long _size;
        private bool _isDestinationFailure;
        private int _mismatches;

        /// <summary>How many bytes have been proven and written.</summary>
        public long Proven { get; private set; }

        public async Task RunAsync(Watchdog watchdog, CancellationToken cancellationToken)
        {
            int segment = owner._options.SegmentSize;
            Announcements said = new();
            PodProcess process = await owner._client.ExecAsync(
                target,
                ["sh", "-c", DownloadScript, "smcdr", path, Text(Proven), Text(segment), _identity ?? ""],
                new ExecOptions { Input = true, IsBulk = true, OnErrorLine = said.Add },
                cancellationToken).ConfigureAwait(false);
            await using (process.ConfigureAwait(false))
            {
                // When the script ends early its exit code is the reason, and nothing more is announced.
                Task<int> exit = process.WaitAsync(CancellationToken.None);
                _ = exit.ContinueWith(said.Fail, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
                try
                {
                    await ReceiveAsync(process, said, watchdog, cancellationToken).ConfigureAwait(false);
                }
                catch (Exception e) when (e is not OperationCanceledException && !_isDestinationFailure && exit.IsCompletedSuccessfully)
                {
                    int exitCode = await exit.ConfigureAwait(false);
                    if (exitCode != 0)
                    {
                        throw ScriptFailure(exitCode, Errors(process.ErrorText), target, path);
                    }

                    throw;
                }

                try
                {
                    // Everything is proven; the shell may end, and how it does is of no interest any more.
                    await process.StandardInput.WriteAsync("done\n"u8.ToArray(), cancellationToken).ConfigureAwait(false);
                    await exit.WaitAsync(TimeSpan.FromSeconds(2), cancellationToken).ConfigureAwait(false);
                }
                catch (Exception e) when (e is TimeoutException || IsBreak(e))
                {
                    owner._observer.Verbose($"The shell in the pod '{target}' did not say farewell after all of '{path}' had arrived.");
                }
            }
        }

        /// <summary>What the programs said, without what the script announces.</summary>
        private static string Errors(string text) =>
            string.Join('\n', text.Split('\n').Where(static line => !line.StartsWith("smcdr ", StringComparison.Ordinal)));

        private async Task ReceiveAsync(PodProcess process, Announcements said, Watchdog watchdog, CancellationToken cancellationToken)
        {
            string identity = await said.File.WaitAsync(cancellationToken).ConfigureAwait(false);
            _identity ??= identity;
            _size = long.Parse(identity.AsSpan(0, identity.IndexOf(' ', StringComparison.Ordinal)), NumberStyles.None, CultureInfo.InvariantCulture);
            int segment = owner._options.SegmentSize;
            Task writing = Task.CompletedTask;
            try
            {
                int index = 0;
                for (long offset = Proven; offset < _size; offset += segment)
                {
                    int length = (int)Math.Min(segment, _size - offset);
                    if (_buffers[index].Length < length)
                    {
                        _buffers[index] = GC.AllocateUninitializedArray<byte>(length);
                    }

                    byte[] buffer = _buffers[index];
                    int filled = 0;
                    while (filled < length)
                    {
                        int read = await process.StandardOutput.ReadAsync(buffer.AsMemory(filled, length - filled), cancellationToken).ConfigureAwait(false);
                        if (read == 0)
                        {
                            throw new EndOfStreamException(string.Create(
                                CultureInfo.InvariantCulture, $"The output ended at byte {offset + filled} of {_size}"));
                        }

                        filled += read;
                        watchdog.Feed();
                    }

                    await writing.ConfigureAwait(false);
                    writing = ProveAsync(offset, buffer.AsMemory(0, length), said, watchdog, cancellationToken);
                    index ^= 1;
                }

                await writing.ConfigureAwait(false);
            }
            finally
            {
                await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await said.End.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        private async Task ProveAsync(
            long offset, ReadOnlyMemory<byte> bytes, Announcements said, Watchdog watchdog, CancellationToken cancellationToken)
        {
            Hash256 here = await Task.Run(() => Hash256.Compute(bytes.Span), cancellationToken).ConfigureAwait(false);
            Hash256 there = await said.HashOf(offset).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (here != there)
            {
                // Once may be a file that was written to just then; the file's own times tell in the end.
                string message = string.Create(
                    CultureInfo.InvariantCulture,
                    $"What came out of the pod '{target}' is not what '{path}' holds there: the digests of the {bytes.Length} bytes from {offset} on differ.");
                throw ++_mismatches < 3
                    ? new IOException(message)
                    : new SmcException(SmcErrorCode.PodTransferFailed, message, target: path);
            }

            try
            {
                await destination.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
                written?.Invoke(offset, bytes.Length);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // A disk that is full here is no break of the connection.
                _isDestinationFailure = true;
                throw e is SmcException ? e : new SmcException(
                    SmcErrorCode.TargetUnsuitable, $"What came out of the pod '{target}' cannot be written here: {e.Message.TrimEnd('.')}.", e,
                    "Make room, or choose another place, and run the command again.");
            }

            Proven = offset + bytes.Length;
            _mismatches = 0;
            watchdog.Feed();
            owner._observer.Progress(new OperationProgress(activity, path, Proven, _size));
        }
    }

    /// <summary>What the script in the pod tells beside the bytes.</summary>
    private sealed class Announcements
    {
        private readonly ConcurrentDictionary<long, TaskCompletionSource<Hash256>> _hashes = new();
        private readonly TaskCompletionSource<string> _file = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile Exception? _failure;

        public Task<string> File => _file.Task;

        public Task End => _end.Task;

        public Task<Hash256> HashOf(long offset)
        {
            TaskCompletionSource<Hash256> source = SourceOf(offset);
            // Looked at again: the failure may have come between.
            if (_failure is Exception failure)
            {
                source.TrySetException(failure);
            }

            return source.Task;
        }

        public void Add(string line)
        {
            string[] parts = line.Split(' ', 4);
            if (parts.Length < 2 || parts[0] != "smcdr")
            {
                return;
            }

            if (parts[1] == "file" && parts.Length > 3)
            {
                _file.TrySetResult(line["smcdr file ".Length..]);
            }
            else if (parts[1] == "end")
            {
                _end.TrySetResult();
            }
            else if (parts[1] == "hash" && parts.Length == 4 && TryParse(parts[2], parts[3], out long offset, out Hash256 hash))
            {
                SourceOf(offset).TrySetResult(hash);
            }
        }

        /// <summary>The command has ended: what has not been told is not told any more.</summary>
        public void Fail(Task<int> exit)
        {
            Exception failure = exit.Exception?.InnerException ?? new EndOfStreamException("The command in the pod ended early.");
            _failure = failure;
            _file.TrySetException(failure);
            _end.TrySetException(failure);
            _ = (_file.Task.Exception, _end.Task.Exception);
            foreach (TaskCompletionSource<Hash256> each in _hashes.Values)
            {
                each.TrySetException(failure);
                _ = each.Task.Exception;
            }
        }

        private static bool TryParse(string offset, string hash, out long number, out Hash256 digest)
        {
            digest = default;
            if (!long.TryParse(offset, NumberStyles.None, CultureInfo.InvariantCulture, out number) || hash.Length != 64)
            {
                return false;
            }

            try
            {
                digest = Hash256.Parse(hash);
                return true;
            }
            catch (FormatException)
            {
                return false;
            }
        }

        private TaskCompletionSource<Hash256> SourceOf(long offset) => _hashes.GetOrAdd(
            offset, static _ => new TaskCompletionSource<Hash256>(TaskCreationOptions.RunContinuationsAsynchronously));
    }
}
