using System.Globalization;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Runs short scripts in a container, whose shell is all that is needed there. A connection that breaks leaves open whether a script was run: so each
/// must be one that may be run twice, and is.
/// </summary>
internal sealed class PodShell
{
    // Bytes come on the input, with their number before them since an input cannot be closed before 1.30. $1 the file, $2 how many bytes, $3 its mode,
    // $4 its owner or nothing.
    private const string WriteScript = """
        t="$1.smcdr-$$"
        trap 'rm -f "$t"' EXIT
        (umask 077; dd of="$t" bs=65536 count="$2" iflag=fullblock,count_bytes status=none) || exit 74
        [ "$(stat -c %s "$t")" = "$2" ] || exit 76
        [ -z "$4" ] || chown "$4" "$t" || exit 77
        chmod "$3" "$t" || exit 77
        sync "$t" 2>/dev/null || sync
        mv -f "$t" "$1" || exit 74
        sync "${1%/*}/" 2>/dev/null || sync
        """;

    private const int MaximumAttempts = 6;
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(250);
    private readonly IOperationObserver _observer;

    public PodShell(KubernetesClient client, PodTarget target, IOperationObserver observer)
    {
        (Client, Target, _observer) = (client, target, observer);
    }

    public KubernetesClient Client { get; }

    public PodTarget Target { get; }

    /// <summary>Runs a script to its end; its exit code is no exception.</summary>
    /// <param name="arguments">What the script knows as <c>$1</c> and so on. The cluster's audit log sees them: no secrets.</param>
    public Task<ExecResult> TryRunAsync(string script, CancellationToken cancellationToken, params string[] arguments) => AttemptAsync(
        token => Client.RunAsync(Target, ["sh", "-c", script, "smcdr", .. arguments], token), cancellationToken);

    /// <summary>Runs a script and returns what it says.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PodCommandFailed"/>: it ended with an error.</exception>
    public async Task<string> RunAsync(string what, string script, CancellationToken cancellationToken, params string[] arguments)
    {
        ExecResult result = await TryRunAsync(script, cancellationToken, arguments).ConfigureAwait(false);
        return result.ExitCode == 0 ? result.Output : throw Failed(what, result.ExitCode, result.Errors);
    }

    /// <summary>Writes a file, whole or not at all, and durable.</summary>
    /// <param name="mode">Its mode, in octal digits.</param>
    /// <param name="owner">User and group by number, such as <c>999:999</c>; null = those of the container.</param>
    public Task WriteAsync(
        string path, ReadOnlyMemory<byte> content, string mode, string? owner, CancellationToken cancellationToken) => FeedAsync(
        $"Writing '{path}'",
        WriteScript,
        content,
        cancellationToken,
        path, content.Length.ToString(CultureInfo.InvariantCulture), mode, owner ?? "");

    /// <summary>Runs a script that reads something whose end it knows, since its input is not closed.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PodCommandFailed"/>: it ended with an error.</exception>
    public async Task FeedAsync(
        string what, string script, ReadOnlyMemory<byte> content, CancellationToken cancellationToken, params string[] arguments)
    {
        (int exitCode, string errors) = await AttemptAsync(
            async token =>
            {
                PodProcess process = await Client.ExecAsync(
                    Target, ["sh", "-c", script, "smcdr", .. arguments], new ExecOptions { Input = true }, token).ConfigureAwait(false);
                await using (process.ConfigureAwait(false))
                {
                    // A script that fails at once does not read.
                    Task writing = process.StandardInput.WriteAsync(content, token).AsTask();
                    int code = await process.WaitAsync(token).ConfigureAwait(false);
                    if (code == 0)
                    {
                        await writing.ConfigureAwait(false);
                    }

                    await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    return (code, process.ErrorText);
                }
            },
            cancellationToken).ConfigureAwait(false);
        if (exitCode != 0)
        {
            throw Failed(what, exitCode, errors);
        }
    }

    /// <summary>Does something that may be done twice, again where its connection broke.</summary>
    private async Task<T> AttemptAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        TimeSpan pause = s_firstPause;
        for (int attempt = 1; ; attempt++, pause *= 2)
        {
            try
            {
                return await work(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (attempt < MaximumAttempts && PodTransfer.IsBreak(e))
            {
                _observer.Verbose($"The connection to the pod '{Target}' broke ({e.Message.TrimEnd('.')}); it is tried again.");
                await Task.Delay(pause, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private SmcException Failed(string what, int exitCode, string errors)
    {
        string said = KubeText.Clean(errors, 400);
        return said.Contains("No space left", StringComparison.OrdinalIgnoreCase) || said.Contains("quota exceeded", StringComparison.OrdinalIgnoreCase)
            ? new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                $"{what} in the pod '{Target}' has run out of room: {said}.",
                recommendation: "Make room on the volume or enlarge its claim, then run the command again; it continues.",
                target: Target.ToString())
            : new SmcException(
                SmcErrorCode.PodCommandFailed,
                string.Create(CultureInfo.InvariantCulture, $"{what} in the pod '{Target}' failed with exit code {exitCode}{(said.Length > 0 ? $": {said}" : "")}."),
                target: Target.ToString());
    }
}
