using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Writes parts of many files below one directory of a container, over one connection after the other, as <see cref="PodTransfer"/> does with one
/// file: each portion is hashed by both ends and counts when the hashes agree. Portions may be on the way at the same time; several writers may write
/// to one tree. Safe for concurrent use.
/// </summary>
/// <remarks>
/// What is proven is noted in a file of the container, with its digest: <see cref="ReadNotesAsync"/> says what of it is still as it was noted, so that a
/// later run need not send that again.
/// </remarks>
internal sealed class PodTreeWriter : IAsyncDisposable
{
    // $1 the root, $2 the mask of new files, $3 a file for what is not yet in its place, $4 the file of notes, $5 the owner of what is sealed, or nothing. A portion of one part is written where it
    // belongs at once, and its digest is of what the file holds; one of many parts goes to the side first, since what is wrong must not be spread. A dd
    // for each file of a portion costs a millisecond or two.
    private const string Script = PodTransfer.HashFunction + """
        cd "$1" || exit 70
        umask "$2"
        t=$3 n=$4 g=$5
        trap 'rm -f "$t" "$t.list"' EXIT
        c() { dd bs=65536 count="$1" iflag=fullblock,count_bytes status=none; }
        while read -r op s l h p; do
          case $op in
            put)
              o=${p%% *} p=${p#* }
              dd of="$p" bs=65536 seek="$o" oflag=seek_bytes count="$l" iflag=fullblock,count_bytes conv=notrunc status=none || exit 74
              (
                x=$(dd if="$p" bs=65536 skip="$o" count="$l" iflag=skip_bytes,count_bytes 2>/dev/null | h)
                x=${x%% *}
                # Without its note it would only be sent again.
                [ "$x" != "$h" ] || echo "$s $x $l $o $p" 2>/dev/null >> "$n"
                echo "$s $x"
              ) &
              ;;
            pack)
              : > "$t.list" || exit 74
              while [ "$p" -gt 0 ]; do
                IFS= read -r x || exit 76
                printf '%s\n' "$x" >> "$t.list"
                p=$((p - 1))
              done
              c "$l" > "$t" || exit 74
              x=$(h < "$t")
              x=${x%% *}
              if [ "$x" = "$h" ]; then
                while read -r l p; do
                  if [ "$l" = 0 ]; then : > "$p"; else c "$l" <&4 > "$p"; fi || exit 74
                done < "$t.list" 4< "$t" || exit 74
              fi
              echo "$s $x"
              ;;
            seal)
              { [ -z "$g" ] || chown "$g" "$p"; } && chmod "$h" "$p" && { sync "$p" 2>/dev/null || sync; } && mv -f "$p" "$l" || exit 74
              echo "$s done"
              ;;
            end)
              wait
              exit 0
              ;;
            *)
              exit 76
              ;;
          esac
        done
        exit 76
        """;

    // $1 the root, $2 the notes. A line that was cut off is none.
    private const string NotesScript = PodTransfer.HashFunction + """
        cd "$1" 2>/dev/null && [ -f "$2" ] || exit 0
        while read -r s x l o p; do
          [ "${#x}" = 64 ] && [ -n "$p" ] && [ -f "$p" ] || continue
          y=$(dd if="$p" bs=65536 skip="$o" count="$l" iflag=skip_bytes,count_bytes 2>/dev/null | h)
          [ "${y%% *}" != "$x" ] || echo "${s%%.*}"
        done < "$2"
        """;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);
    private readonly PodShell _shell;
    private readonly string _root;
    private readonly string _umask;
    private readonly string _aside;
    private readonly string _notes;
    private readonly string _owner;
    private readonly IOperationObserver _observer;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private Session? _session;
    private int _failures;

    /// <param name="shell">The container.</param>
    /// <param name="root">The directory, which is there.</param>
    /// <param name="umask">The mask of new files, in octal digits.</param>
    /// <param name="folder">A folder on the same volume for what is not yet in its place.</param>
    /// <param name="notes">The file of notes.</param>
    /// <param name="observer">Hears of breaks.</param>
    /// <param name="owner">User and group of what is sealed, by number; null = those of the container.</param>
    public PodTreeWriter(
        PodShell shell, string root, string umask, string folder, string notes, IOperationObserver observer, string? owner = null)
    {
        (_shell, _root, _umask, _notes, _observer, _owner) = (shell, root, umask, notes, observer, owner ?? "");
        _aside = $"{folder}/.part-{Guid.NewGuid():N}";
    }

    /// <summary>The portions that an earlier run has noted and that are still so, by hashing them there.</summary>
    public static async Task<HashSet<int>> ReadNotesAsync(PodShell shell, string root, string notes, CancellationToken cancellationToken)
    {
        string said = await shell.RunAsync($"Looking at what '{root}' has already", NotesScript, cancellationToken, root, notes).ConfigureAwait(false);
        return [.. said.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => int.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1)];
    }

    /// <summary>Writes a part of a file, and returns when it is proven.</summary>
    /// <param name="number">What it is noted as.</param>
    public Task PutAsync(int number, PodTreePart part, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => SendAsync(
        number,
        string.Create(CultureInfo.InvariantCulture, $"{part.Length} {{0}} {part.Offset} {part.Path}\n"),
        "put",
        content,
        cancellationToken);

    /// <summary>Writes whole files, whose contents follow each other, and returns when they are proven.</summary>
    public Task PutAsync(int number, IReadOnlyList<PodTreePart> files, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        StringBuilder head = new();
        head.Append(CultureInfo.InvariantCulture, $"{content.Length} {{0}} {files.Count}\n");
        foreach (PodTreePart file in files)
        {
            head.Append(CultureInfo.InvariantCulture, $"{file.Length} {file.Path}\n");
        }

        return SendAsync(number, head.ToString(), "pack", content, cancellationToken);
    }

    /// <summary>Makes a file that was written durable, and gives it its owner, its mode and its name.</summary>
    public async Task SealAsync(int number, string path, string name, string mode, CancellationToken cancellationToken)
    {
        string line = string.Create(CultureInfo.InvariantCulture, $"{name} {mode} {path}\n");
        await RequestAsync("seal", number, line, default, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the connection. What was proven stays.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_session is { } session)
        {
            await session.EndAsync().ConfigureAwait(false);
        }

        _gate.Dispose();
    }

    private async Task SendAsync(int number, string head, string operation, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        string hash = await Task.Run(() => Hash256.Compute(content.Span).ToString(), cancellationToken).ConfigureAwait(false);
        string text = head.Replace("{0}", hash, StringComparison.Ordinal);
        for (int mismatches = 1; ; mismatches++)
        {
            string answer = await RequestAsync(operation, number, text, content, cancellationToken).ConfigureAwait(false);
            if (answer == hash)
            {
                return;
            }

            if (mismatches == 3)
            {
                throw new SmcException(
                    SmcErrorCode.PodTransferFailed,
                    $"What arrived below '{_root}' in the pod '{_shell.Target}' is not what was sent, three times in a row.",
                    target: _root);
            }
        }
    }

    private async Task<string> RequestAsync(
        string operation, int number, string head, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        while (true)
        {
            Session? session = null;
            Exception failure;
            try
            {
                session = await OpenAsync(cancellationToken).ConfigureAwait(false);
                string answer = await session.RequestAsync(operation, number, head, content, cancellationToken).ConfigureAwait(false);
                Volatile.Write(ref _failures, 0);
                return answer;
            }
            catch (TimeoutException)
            {
                failure = new SmcException(
                    SmcErrorCode.PodStreamBroken,
                    string.Create(CultureInfo.InvariantCulture, $"Nothing was heard of what was sent to the pod '{_shell.Target}' for {s_patience.TotalSeconds:0} seconds."),
                    target: _shell.Target.ToString());
            }
            catch (Exception e) when (PodTransfer.IsBreak(e))
            {
                failure = e;
            }

            await GiveUpAsync(session).ConfigureAwait(false);
            if (Interlocked.Increment(ref _failures) >= 8)
            {
                throw failure as SmcException ?? new SmcException(
                    SmcErrorCode.PodStreamBroken,
                    $"The connection to the pod '{_shell.Target}' broke again and again: {failure.Message.TrimEnd('.')}.",
                    failure,
                    target: _shell.Target.ToString());
            }

            _observer.Verbose($"The connection to the pod '{_shell.Target}' broke ({failure.Message.TrimEnd('.')}); what was not proven is sent again.");
            await Task.Delay(TimeSpan.FromMilliseconds(200 * Math.Pow(2, Math.Min(_failures, 5))), cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<Session> OpenAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return _session ??= new Session(
                await _shell.Client.ExecAsync(
                    _shell.Target,
                    ["sh", "-c", Script, "smcdr", _root, _umask, _aside, _notes, _owner],
                    new ExecOptions { Input = true, IsBulk = true },
                    cancellationToken).ConfigureAwait(false),
                Failed);
        }
        finally
        {
            _gate.Release();
        }
    }

    private async Task GiveUpAsync(Session? session)
    {
        if (session is not null)
        {
            Interlocked.CompareExchange(ref _session, null, session);
            await session.DisposeAsync().ConfigureAwait(false);
        }
    }

    private SmcException Failed(int exitCode, string errors)
    {
        string said = KubeText.Clean(errors, 300);
        bool isFull = said.Contains("No space left", StringComparison.OrdinalIgnoreCase) || said.Contains("quota exceeded", StringComparison.OrdinalIgnoreCase);
        return new SmcException(
            isFull ? SmcErrorCode.DiskSpaceInsufficient : SmcErrorCode.PodCommandFailed,
            isFull
                ? $"There is no room left below '{_root}' in the pod '{_shell.Target}': {said}."
                : string.Create(CultureInfo.InvariantCulture, $"Writing below '{_root}' in the pod '{_shell.Target}' failed there with exit code {exitCode}{(said.Length > 0 ? $": {said}" : "")}."),
            recommendation: isFull
                ? "Make room on the volume or enlarge its claim, then run the command again; it continues."
                : "The container needs sh, dd (of coreutils or busybox) and sha256sum, and the right to write to the volume.",
            target: _root);
    }

    /// <summary>One connection. All that is on its way when it breaks fails with it.</summary>
    private sealed class Session : IAsyncDisposable
    {
        private readonly PodProcess _process;
        private readonly Func<int, string, SmcException> _failed;
        private readonly ConcurrentDictionary<int, TaskCompletionSource<string>> _waiting = new();
        private readonly SemaphoreSlim _sending = new(1, 1);
        private readonly Task _hearing;
        private volatile Exception? _end;
        private Task? _disposing;
        private int _sequence;

        public Session(PodProcess process, Func<int, string, SmcException> failed)
        {
            (_process, _failed) = (process, failed);
            _hearing = Task.Run(HearAsync);
        }

        public async Task<string> RequestAsync(
            string operation, int number, string head, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            // Notes are by the number; two requests with one number at a time must not be taken for each other.
            int sequence = Interlocked.Increment(ref _sequence);
            TaskCompletionSource<string> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting[sequence] = answer;
            try
            {
                await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
                try
                {
                    if (_end is { } end)
                    {
                        throw new IOException("The connection has ended.", end);
                    }

                    await _process.StandardInput.WriteAsync(
                        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{operation} {number}.{sequence} {head}")), cancellationToken)
                        .ConfigureAwait(false);
                    await _process.StandardInput.WriteAsync(content, cancellationToken).ConfigureAwait(false);
                }
                catch (IOException) when (_end is SmcException reason)
                {
                    throw reason;
                }
                finally
                {
                    _sending.Release();
                }

                return await answer.Task.WaitAsync(s_patience, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                _waiting.TryRemove(sequence, out _);
            }
        }

        public async Task EndAsync()
        {
            try
            {
                await _process.StandardInput.WriteAsync("end\n"u8.ToArray()).ConfigureAwait(false);
                await _process.WaitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10)).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or SmcException or TimeoutException)
            {
                // All that counts was proven.
            }

            await DisposeAsync().ConfigureAwait(false);
        }

        /// <summary>Gives it up. Several requests may find it broken at the same time.</summary>
        public ValueTask DisposeAsync()
        {
            lock (_waiting)
            {
                return new ValueTask(_disposing ??= AbortAsync());
            }
        }

        private async Task AbortAsync()
        {
            await _process.DisposeAsync().ConfigureAwait(false);
            await _hearing.ConfigureAwait(false);
        }

        private async Task HearAsync()
        {
            Exception end;
            try
            {
                using StreamReader reader = new(_process.StandardOutput, Encoding.ASCII);
                while (await reader.ReadLineAsync().ConfigureAwait(false) is { } line)
                {
                    // number.sequence and the answer
                    string[] words = line.Split(' ');
                    string[] id = words[0].Split('.');
                    if (words.Length == 2 && id.Length == 2 && int.TryParse(id[1], NumberStyles.None, CultureInfo.InvariantCulture, out int sequence) &&
                        _waiting.TryGetValue(sequence, out TaskCompletionSource<string>? answer))
                    {
                        answer.TrySetResult(words[1]);
                    }
                }

                int exitCode = await _process.WaitAsync(CancellationToken.None).ConfigureAwait(false);
                end = exitCode is 0 or 76 ? new IOException("The shell in the pod ended.") : _failed(exitCode, _process.ErrorText);
            }
            catch (Exception e) when (e is IOException or SmcException or ObjectDisposedException or InvalidOperationException)
            {
                // Also where it was given up meanwhile.
                end = e is SmcException ? e : new IOException("The connection into the pod has ended.", e);
            }

            _end = end;
            foreach (TaskCompletionSource<string> waiting in _waiting.Values)
            {
                waiting.TrySetException(end);
                _ = waiting.Task.Exception;
            }
        }
    }
}
