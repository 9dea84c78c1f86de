using System.Globalization;
using System.Net.WebSockets;
using System.Text;

namespace SmcDr.Core.Kubernetes;

public sealed partial class KubernetesClient
{
    /// <summary>The first one can close a command's input (1.30 on), the second is as old as the API.</summary>
    private static readonly string[] s_execProtocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

    private static readonly string[] s_forwardProtocols = ["v4.channel.k8s.io"];

    /// <summary>How long the other end may take to accept a command's streams.</summary>
    private static readonly TimeSpan s_openTime = TimeSpan.FromSeconds(30);

    private volatile bool _bulkBySpdy;
    private volatile bool _isBulkKnown;

    /// <summary>Starts a command in a container.</summary>
    /// <param name="command">The program and its arguments; no shell is between. Arguments are seen by the cluster's audit log: no secrets.</param>
    public Task<PodProcess> ExecAsync(
        PodTarget target, IReadOnlyList<string> command, ExecOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(command);
        return command.Count == 0
            ? throw new SmcException(SmcErrorCode.ArgumentInvalid, "There is no command to run in the pod.")
            : ConnectAsync(target, "exec", command, options ?? new ExecOptions(), cancellationToken);
    }

    /// <summary>Connects to the main program of a container.</summary>
    public Task<PodProcess> AttachAsync(PodTarget target, ExecOptions? options, CancellationToken cancellationToken) =>
        ConnectAsync(target, "attach", [], options ?? new ExecOptions(), cancellationToken);

    /// <summary>Runs a command in a container to its end.</summary>
    /// <param name="maximumOutput">How much it may say, in bytes.</param>
    /// <exception cref="SmcException">It could not be run, said too much, or the connection broke. An exit code is no exception.</exception>
    public async Task<ExecResult> RunAsync(
        PodTarget target, IReadOnlyList<string> command, CancellationToken cancellationToken, int maximumOutput = 4 << 20)
    {
        PodProcess process = await ExecAsync(target, command, null, cancellationToken).ConfigureAwait(false);
        await using (process.ConfigureAwait(false))
        {
            using MemoryStream output = new();
            byte[] buffer = new byte[16 << 10];
            int length;
            while ((length = await process.StandardOutput.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                if (output.Length + length > maximumOutput)
                {
                    throw new SmcException(
                        SmcErrorCode.PodCommandFailed,
                        string.Create(CultureInfo.InvariantCulture, $"The command '{KubeText.Clean(command[0], 80)}' in the pod '{target}' said more than {maximumOutput} bytes."));
                }

                output.Write(buffer.AsSpan(0, length));
            }

            int exitCode = await process.WaitAsync(cancellationToken).ConfigureAwait(false);
            return new ExecResult(exitCode, Encoding.UTF8.GetString(output.GetBuffer(), 0, (int)output.Length), process.ErrorText);
        }
    }

    /// <summary>Opens a connection to a port of a pod.</summary>
    /// <exception cref="SmcException">There is no such pod, or it does not run.</exception>
    public async Task<PodPortStream> ConnectAsync(PodTarget target, int port, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, 65535);
        ApiRequest request = Request(
            HttpMethod.Get, "create", KubernetesResource.Pods, target.Namespace ?? Access.Namespace, target.Pod, "portforward",
            ("ports", port.ToString(CultureInfo.InvariantCulture))) with { IsIdempotent = false };
        WebSocket socket = await _transport.ConnectAsync(request, s_forwardProtocols, cancellationToken).ConfigureAwait(false);
        return await PodPortStream.OpenAsync(new ChannelSocket(socket), Qualify(target), port, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Listens on a port of this host's loopback interface, and leads each connection to a port of a pod.</summary>
    /// <param name="localPort">The port on this host; 0 = any that is free.</param>
    public PodPortForwarder Forward(PodTarget target, int port, int localPort = 0) => new(this, target, port, localPort, _observer);

    private static string CommandDisplay(string kind, IReadOnlyList<string> command, PodTarget target) => kind == "attach"
        ? $"the main program in the pod '{target}'"
        : $"the command '{KubeText.Clean(command[0], 80)}' in the pod '{target}'";

    private PodTarget Qualify(PodTarget target) => target.Namespace is null ? target with { Namespace = Access.Namespace } : target;

    private async Task<PodProcess> ConnectAsync(
        PodTarget target, string kind, IReadOnlyList<string> command, ExecOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(target);
        List<(string, string)?> query = [.. command.Select(static argument => ((string, string)?)("command", argument))];
        query.Add(target.Container is null ? null : ("container", target.Container));
        query.Add(options.Input ? ("stdin", "true") : null);
        query.Add(("stdout", "true"));
        query.Add(options.Terminal ? ("tty", "true") : ("stderr", "true"));
        ApiRequest request = Request(
            HttpMethod.Get, "create", KubernetesResource.Pods, target.Namespace ?? Access.Namespace, target.Pod, kind, [.. query])
            with { IsIdempotent = false };
        string display = CommandDisplay(kind, command, Qualify(target));
        bool isSpdy = options is { IsBulk: true, Terminal: false } && await PrefersSpdyAsync(cancellationToken).ConfigureAwait(false);
        if (isSpdy && await _transport.UpgradeAsync(
            request, SpdyChannels.Upgrade, (SpdyChannels.StreamProtocolHeader, SpdyChannels.StreamProtocol), cancellationToken).ConfigureAwait(false) is { } response)
        {
            return new PodProcess(await OpenStreamsAsync(response, options.Input, display, cancellationToken).ConfigureAwait(false), display, options);
        }

        WebSocket socket = await _transport.ConnectAsync(request, s_execProtocols, cancellationToken).ConfigureAwait(false);
        if (isSpdy)
        {
            // It was the protocol that was refused, and not the command.
            _bulkBySpdy = false;
            _observer.Verbose($"The cluster '{Access.Display}', or a proxy before it, does not speak {SpdyChannels.Upgrade}: WebSockets are used.");
        }

        return new PodProcess(new ChannelSocket(socket), display, options);
    }

    private static async Task<SpdyChannels> OpenStreamsAsync(
        HttpResponseMessage response, bool hasInput, string display, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_openTime);
        try
        {
            return await SpdyChannels.OpenAsync(response, hasInput, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.PodStreamBroken,
                $"The connection to {display} ended before it was known to be started.",
                e,
                target: display);
        }
    }

    private async Task<bool> PrefersSpdyAsync(CancellationToken cancellationToken)
    {
        if (!_isBulkKnown)
        {
            _bulkBySpdy = Options.BulkBySpdy ?? await IsOlderAsync(1, 30, cancellationToken).ConfigureAwait(false);
            _isBulkKnown = true;
        }

        return _bulkBySpdy;
    }

    private async Task<bool> IsOlderAsync(int major, int minor, CancellationToken cancellationToken)
    {
        string[] parts = (await GetVersionAsync(cancellationToken).ConfigureAwait(false)).TrimStart('v').Split('.', '-', '+');
        return parts.Length > 1 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int first)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int second) && (first, second).CompareTo((major, minor)) < 0;
    }
}
