using System.Diagnostics;
using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using System.Threading.Channels;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes;

public sealed partial class PodTransfer
{
    // $1 the file, $2 where to begin, $3 whether what is there goes to the disk while the rest still comes: the end then has little left to wait for.
    // Each segment comes as a line with its length and then its bytes; lengths, since an input cannot be closed before 1.30; nothing is made before the
    // first one, for a connection that is given up at once. Bytes are written at their own place and never appended: a shell whose connection was cut
    // may still write what it has, and then writes what belongs there. What is hashed is what the file holds.
    private const string UploadScript = HashFunction + """
        p=$1 o=$2
        [ "$o" -eq 0 ] || [ -f "$p" ] || exit 72
        while read -r n; do
          [ "$n" = end ] && break
          dd of="$p" bs=65536 seek=$((o / 65536)) count="$n" iflag=fullblock,count_bytes conv=notrunc status=none || exit 74
          (
            x=$(dd if="$p" bs=65536 skip=$((o / 65536)) count="$n" iflag=fullblock,count_bytes 2>/dev/null | h)
            echo "hash $o ${x%% *}"
            [ "$3" = 0 ] || sync "$p" 2>/dev/null
          ) &
          o=$((o + n))
        done
        wait
        [ "$n" = end ] || exit 76
        [ "$o" -gt 0 ] || true >> "$p" || exit 74
        exit 0
        """;

    // $1 the part, $2 the file, $3 its length, $4 whether to sync, $5 whether to replace. May be run again when it is not known whether it was.
    private const string FinishScript = """
        if [ ! -e "$1" ] && [ -f "$2" ] && [ "$(stat -c %s "$2")" = "$3" ]; then exit 0; fi
        [ -f "$1" ] || exit 72
        [ "$(stat -c %s "$1")" = "$3" ] || exit 71
        [ "$5" = 1 ] || [ ! -e "$2" ] || exit 73
        if [ "$4" = 1 ]; then sync "$1" 2>/dev/null || sync; fi
        mv -f "$1" "$2" || exit 74
        if [ "$4" = 1 ]; then sync "${2%/*}/" 2>/dev/null || sync; fi
        exit 0
        """;

    // $1 the part. A shell whose connection was given up may still be about to write to it.
    private const string RemoveScript = """
        for c in /proc/[0-9]*/cmdline; do
          q=${c#/proc/} q=${q%/cmdline}
          [ "$q" = $$ ] || ! grep -qF "$1" "$c" 2>/dev/null || kill -9 "$q" 2>/dev/null
        done
        rm -f "$1"
        """;

    /// <summary>How long a disk may take to have everything that is in memory.</summary>
    private static readonly TimeSpan s_syncTimeout = TimeSpan.FromMinutes(10);

    /// <summary>Brings a stream into a file of a container. The file gets its name only when all of it is there and proven.</summary>
    /// <param name="source">What is read once from where it is to its end; it need not be able to go back.</param>
    /// <param name="length">How long it is; null = as long as it goes. Another length is an error.</param>
    public async Task<PodTransferResult> UploadAsync(
        Stream source, long? length, PodTarget target, string podPath, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(target);
        if (podPath is null || !podPath.StartsWith('/') || podPath.EndsWith('/'))
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, $"'{podPath}' is no full path of a file in a pod.", target: podPath);
        }

        long start = Stopwatch.GetTimestamp();
        string activity = $"Upload to {podPath}";
        string part = $"{podPath}.smcdr-{Guid.NewGuid():N}.part";
        Upload upload = new(this, target, podPath, part, source, length, activity);
        try
        {
            int breaks;
            await using (upload.ConfigureAwait(false))
            {
                breaks = await RunSessionsAsync(target, podPath, () => upload.Proven, upload.RunAsync, cancellationToken).ConfigureAwait(false);
            }

            breaks += await RunSessionsAsync(
                target,
                podPath,
                static () => 0,
                async (_, token) =>
                {
                    ExecResult result = await _client.RunAsync(
                        target,
                        ["sh", "-c", FinishScript, "smcdr", part, podPath, Text(upload.Proven), _options.Sync ? "1" : "0", _options.Overwrite ? "1" : "0"],
                        token).ConfigureAwait(false);
                    if (result.ExitCode != 0)
                    {
                        throw ScriptFailure(result.ExitCode, result.Errors, target, podPath);
                    }
                },
                cancellationToken,
                s_syncTimeout).ConfigureAwait(false);
            return new PodTransferResult(upload.Proven, breaks, Stopwatch.GetElapsedTime(start));
        }
        catch
        {
            await RemoveAsync(target, part).ConfigureAwait(false);
            throw;
        }
        finally
        {
            _observer.Progress(new OperationProgress(activity, "", upload.Proven) { IsCompleted = true });
        }
    }

    private async Task RemoveAsync(PodTarget target, string part)
    {
        using CancellationTokenSource timer = new(TimeSpan.FromSeconds(5));
        try
        {
            await _client.RunAsync(target, ["sh", "-c", RemoveScript, "smcdr", part], timer.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException or IOException)
        {
            _observer.Warning($"The file '{part}' could not be removed from the pod '{target}'.");
        }
    }

    private sealed class Upload : IAsyncDisposable
    {
        private readonly PodTransfer _owner;
        private readonly PodTarget _target;
        private readonly string _path;
        private readonly string _part;
        private readonly string _activity;
        private readonly long? _length;
        private readonly Channel<Segment> _segments = Channel.CreateBounded<Segment>(1);
        private readonly CancellationTokenSource _stop = new();
        private readonly Queue<byte[]> _free = new();
        private readonly Lock _lock = new();
        private readonly Queue<Segment> _unproven = new();
        private readonly SemaphoreSlim _moved = new(0);
        private readonly Task _reading;
        private int _mismatches;

        public Upload(PodTransfer owner, PodTarget target, string path, string part, Stream source, long? length, string activity)
        {
            (_owner, _target, _path, _part, _length, _activity) = (owner, target, path, part, length, activity);
            _reading = Task.Run(() => ReadAsync(source));
        }

        /// <summary>How many bytes the pod has, proven.</summary>
        public long Proven { get; private set; }

        public async Task RunAsync(Watchdog watchdog, CancellationToken cancellationToken)
        {
            PodProcess process = await _owner._client.ExecAsync(
                _target,
                ["sh", "-c", UploadScript, "smcdr", _part, Text(Proven), _owner._options.Sync ? "1" : "0"],
                new ExecOptions { Input = true, IsBulk = true },
                cancellationToken).ConfigureAwait(false);
            await using (process.ConfigureAwait(false))
            {
                using CancellationTokenSource session = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                Task answers = HearAsync(process, watchdog, session.Token);
                Task sending = SendAsync(process, watchdog, session.Token);
                Task first = await Task.WhenAny(answers, sending).ConfigureAwait(false);
                if (first == answers || sending.IsFaulted || sending.IsCanceled)
                {
                    // A command that does not take anything any more may still say why; and one that has ended well was sent its end just now.
                    Task other = first == answers ? sending : answers;
                    if (answers.IsCompletedSuccessfully || sending.Exception?.InnerException is IOException)
                    {
                        await other.WaitAsync(TimeSpan.FromSeconds(2), cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    }

                    await session.CancelAsync().ConfigureAwait(false);
                }

                await Task.WhenAll(answers, sending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
                Exception? cause = (answers.Exception ?? sending.Exception)?.InnerException;
                if (cause is not null)
                {
                    ExceptionDispatchInfo.Throw(cause);
                }

                if (!sending.IsCompletedSuccessfully)
                {
                    throw new EndOfStreamException("The shell in the pod ended before all was sent");
                }

                await _reading.ConfigureAwait(false);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
            _moved.Dispose();
        }

        /// <summary>Reads the source ahead, one segment further than what is on its way.</summary>
        private async Task ReadAsync(Stream source)
        {
            long offset = 0;
            try
            {
                while (true)
                {
                    byte[]? buffer;
                    lock (_lock)
                    {
                        _free.TryDequeue(out buffer);
                    }

                    buffer ??= GC.AllocateUninitializedArray<byte>(
                        (int)Math.Clamp((_length ?? long.MaxValue - 1) + 1, 1, _owner._options.SegmentSize));
                    int length = await source.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, _stop.Token).ConfigureAwait(false);
                    if (length == 0)
                    {
                        break;
                    }

                    // Beside the sending: the hash is asked for when the pod has told its own.
                    Task<Hash256> hash = Task.Run(() => Hash256.Compute(buffer.AsSpan(0, length)), CancellationToken.None);
                    await _segments.Writer.WriteAsync(new Segment(offset, buffer, length, hash), _stop.Token).ConfigureAwait(false);
                    offset += length;
                    if (length < buffer.Length)
                    {
                        break;
                    }
                }

                if (_length is long expected && expected != offset)
                {
                    throw new SmcException(
                        SmcErrorCode.PodTransferFailed,
                        string.Create(CultureInfo.InvariantCulture, $"What was to be brought to '{_path}' in the pod '{_target}' has {offset} bytes, and {expected} were announced."),
                        recommendation: "Make sure that nobody writes to the source meanwhile, and run the command again.",
                        target: _path);
                }

                _segments.Writer.Complete();
            }
            catch (Exception e)
            {
                // A source that cannot be read is no break of the connection.
                Exception told = e is IOException ? new SmcException(
                    SmcErrorCode.PodTransferFailed, $"What was to be brought to '{_path}' in the pod '{_target}' cannot be read: {e.Message.TrimEnd('.')}.", e) : e;
                _segments.Writer.Complete(told);
                throw;
            }
        }

        private async Task SendAsync(PodProcess process, Watchdog watchdog, CancellationToken cancellationToken)
        {
            Segment[] again;
            lock (_lock)
            {
                again = [.. _unproven];
            }

            foreach (Segment segment in again)
            {
                await SendAsync(process, segment, watchdog, cancellationToken).ConfigureAwait(false);
            }

            while (true)
            {
                int waiting;
                lock (_lock)
                {
                    waiting = _unproven.Count;
                }

                if (waiting < Window)
                {
                    // A source may be slow: that is no reason to give up the connection.
                    Segment? ready;
                    while (!_segments.Reader.TryRead(out ready))
                    {
                        Task<bool> next = _segments.Reader.WaitToReadAsync(cancellationToken).AsTask();
                        while (await Task.WhenAny(next, Task.Delay(TimeSpan.FromSeconds(1), cancellationToken)).ConfigureAwait(false) != next)
                        {
                            cancellationToken.ThrowIfCancellationRequested();
                            if (waiting == 0)
                            {
                                watchdog.Feed();
                            }
                        }

                        if (!await next.ConfigureAwait(false))
                        {
                            await process.StandardInput.WriteAsync("end\n"u8.ToArray(), cancellationToken).ConfigureAwait(false);
                            return;
                        }
                    }

                    lock (_lock)
                    {
                        _unproven.Enqueue(ready);
                    }

                    await SendAsync(process, ready, watchdog, cancellationToken).ConfigureAwait(false);
                }
                else
                {
                    await _moved.WaitAsync(cancellationToken).ConfigureAwait(false);
                }
            }
        }

        private static async Task SendAsync(PodProcess process, Segment segment, Watchdog watchdog, CancellationToken cancellationToken)
        {
            await process.StandardInput.WriteAsync(
                Encoding.ASCII.GetBytes(Text(segment.Length) + "\n"), cancellationToken).ConfigureAwait(false);
            ReadOnlyMemory<byte> rest = segment.Buffer.AsMemory(0, segment.Length);
            while (rest.Length > 0)
            {
                int length = Math.Min(rest.Length, PodChannels.MaximumPayload);
                await process.StandardInput.WriteAsync(rest[..length], cancellationToken).ConfigureAwait(false);
                rest = rest[length..];
                watchdog.Feed();
            }
        }

        /// <summary>Hears what the pod's file holds, until the command has ended.</summary>
        private async Task HearAsync(PodProcess process, Watchdog watchdog, CancellationToken cancellationToken)
        {
            Dictionary<long, Hash256> heard = [];
            using StreamReader reader = new(process.StandardOutput, Encoding.ASCII, false, 1024, leaveOpen: true);
            while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is string line)
            {
                watchdog.Feed();
                string[] parts = line.Split(' ');
                if (parts is not ["hash", string offsetText, { Length: 64 } hash]
                    || !long.TryParse(offsetText, NumberStyles.None, CultureInfo.InvariantCulture, out long offset))
                {
                    throw new SmcException(
                        SmcErrorCode.PodCommandFailed,
                        $"The shell in the pod '{_target}' said '{KubeText.Clean(line, 100)}' in place of a digest.",
                        recommendation: "The container needs sh, dd (of coreutils or busybox), stat and sha256sum.",
                        target: _path);
                }

                heard[offset] = Hash256.Parse(hash);
                while (await TryProveAsync(heard).ConfigureAwait(false))
                {
                    _moved.Release();
                }
            }

            int exitCode = await process.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (exitCode == 76)
            {
                throw new EndOfStreamException("The shell in the pod lost its input");
            }

            if (exitCode != 0)
            {
                throw ScriptFailure(exitCode, process.ErrorText, _target, _path);
            }

            lock (_lock)
            {
                if (_unproven.Count > 0)
                {
                    throw new EndOfStreamException("The shell in the pod ended before all was proven");
                }
            }
        }

        private async Task<bool> TryProveAsync(Dictionary<long, Hash256> heard)
        {
            Segment? segment;
            lock (_lock)
            {
                _unproven.TryPeek(out segment);
            }

            if (segment is null || !heard.Remove(segment.Offset, out Hash256 there))
            {
                return false;
            }

            if (there != await segment.Hash.ConfigureAwait(false))
            {
                string message = string.Create(
                    CultureInfo.InvariantCulture,
                    $"What '{_path}' in the pod '{_target}' holds is not what was sent: the digests of the {segment.Length} bytes from {segment.Offset} on differ.");
                throw ++_mismatches < 3
                    ? new IOException(message)
                    : new SmcException(SmcErrorCode.PodTransferFailed, message, target: _path);
            }

            _mismatches = 0;
            lock (_lock)
            {
                _unproven.Dequeue();
                _free.Enqueue(segment.Buffer);
                Proven = segment.Offset + segment.Length;
            }

            _owner._observer.Progress(new OperationProgress(_activity, _path, Proven, _length));
            return true;
        }

        private sealed record Segment(long Offset, byte[] Buffer, int Length, Task<Hash256> Hash);
    }
}
