using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// A command that runs in a pod. That its output has ended says nothing yet: a connection that breaks looks the same to most programs. Here the
/// output ends only when the cluster has told the exit code, and a break is an error for whoever reads.
/// </summary>
/// <remarks>Output must be read, or be asked away by disposing: a command whose output nobody takes stands still, as in a pipe.</remarks>
public sealed class PodProcess : IAsyncDisposable
{
    private const int InputChannel = 0;
    private const int OutputChannel = 1;
    private const int ErrorChannel = 2;
    private const int StatusChannel = 3;
    private const int ResizeChannel = 4;
    private const int MaximumStatus = 1 << 20;

    private readonly PodChannels _socket;
    private readonly string _display;
    private readonly ErrorLines _errors;
    private readonly MemoryStream _status = new();
    private readonly TaskCompletionSource<int> _exit = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _disposed;

    internal PodProcess(PodChannels socket, string display, ExecOptions options)
    {
        _socket = socket;
        _display = display;
        _errors = new ErrorLines(options.OnErrorLine);
        StandardOutput = _socket.Read(OutputChannel).AsStream();
        if (options.ErrorStream)
        {
            StandardError = _socket.Read(ErrorChannel).AsStream();
        }
        else
        {
            _socket.Handle(ErrorChannel, data => _errors.Add(data.Span));
        }

        StandardInput = options.Input ? new InputStream(this) : Stream.Null;
        _socket.Handle(StatusChannel, data =>
        {
            if (_status.Length < MaximumStatus)
            {
                _status.Write(data.Span);
            }
        });
        // Whoever only reads the output never asks for the exit code.
        _ = _exit.Task.ContinueWith(
            static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        _socket.Start(End);
    }

    /// <summary>What the command reads.</summary>
    public Stream StandardInput { get; }

    /// <summary>What the command writes. Ends when the exit code is known, else with an error.</summary>
    public Stream StandardOutput { get; }

    /// <summary>What the command writes to its errors, where that was asked for as a stream.</summary>
    public Stream? StandardError { get; }

    /// <summary>The end of what the command wrote to its errors.</summary>
    public string ErrorText => _errors.Text;

    /// <summary>Whether the command can be told that its input is over, while its output goes on.</summary>
    public bool CanCloseInput => _socket.CanCloseChannels;

    /// <summary>The protocol that was agreed on.</summary>
    public string Protocol => _socket.Protocol;

    /// <summary>Waits for the command's exit code.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.PodStreamBroken"/>: the connection ended before; <see cref="SmcErrorCode.PodCommandFailed"/>: the command could
    /// not be run.
    /// </exception>
    public Task<int> WaitAsync(CancellationToken cancellationToken) => _exit.Task.WaitAsync(cancellationToken);

    /// <summary>Tells the command that its input is over.</summary>
    /// <exception cref="NotSupportedException">The server cannot (before 1.30): see <see cref="CanCloseInput"/>.</exception>
    public ValueTask CloseInputAsync(CancellationToken cancellationToken) => _socket.CloseChannelAsync(InputChannel, cancellationToken);

    /// <summary>Tells the command how large its terminal is.</summary>
    public ValueTask ResizeAsync(int columns, int rows, CancellationToken cancellationToken) => _socket.SendAsync(
        ResizeChannel,
        Encoding.UTF8.GetBytes(new JsonObject { ["Width"] = columns, ["Height"] = rows }.ToJsonString()),
        cancellationToken);

    /// <summary>
    /// Lets go of the command. One that runs still loses its connection, and ends when it reads or writes; Kubernetes has no means of killing it.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        await StandardOutput.DisposeAsync().ConfigureAwait(false);
        if (StandardError is not null)
        {
            await StandardError.DisposeAsync().ConfigureAwait(false);
        }

        await _socket.DisposeAsync().ConfigureAwait(false);
    }

    private Exception? End(bool isFarewell, Exception? cause)
    {
        _errors.Complete();
        KubernetesStatus? status = _status.Length == 0 ? null : KubernetesStatus.TryParse(_status.GetBuffer().AsSpan(0, (int)_status.Length));
        bool isWhole = status is not null && (isFarewell || _socket.IsStatusLast);
        SmcException? failure = null;
        if (!isWhole)
        {
            failure = new SmcException(
                SmcErrorCode.PodStreamBroken,
                $"The connection to {_display} {(_disposed ? "was given up" : "ended")} before its exit code was told, so that it is not known what became of it{Said()}.",
                cause,
                target: _display);
        }
        else if (status!.IsSuccess)
        {
            _exit.TrySetResult(0);
        }
        else if (status.Reason == "NonZeroExitCode"
            && status.Causes.FirstOrDefault(static each => each.Reason == "ExitCode") is KubernetesStatusCause exit
            && int.TryParse(exit.Message, NumberStyles.None, CultureInfo.InvariantCulture, out int code))
        {
            _exit.TrySetResult(code);
        }
        else
        {
            failure = new SmcException(
                SmcErrorCode.PodCommandFailed,
                $"{char.ToUpperInvariant(_display[0])}{_display[1..]} could not be run: {KubeText.Clean(status.Message)}.",
                new KubernetesStatusException(status),
                status.Message.Contains("executable file not found", StringComparison.Ordinal)
                    || status.Message.Contains("no such file or directory", StringComparison.Ordinal)
                    ? "The image has no such program: use a helper pod whose image has a shell and coreutils or busybox."
                    : null,
                _display);
        }

        if (failure is not null)
        {
            _exit.TrySetException(failure);
        }

        return failure;
    }

    private string Said()
    {
        string text = KubeText.Clean(_errors.Text, 300);
        return text.Length == 0 ? "" : $"; it said last: {text}";
    }

    /// <summary>The command's input. Nothing is kept back: what was written is on its way.</summary>
    private sealed class InputStream(PodProcess process) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (buffer.Length > 0)
            {
                await process._socket.SendAsync(InputChannel, buffer, cancellationToken).ConfigureAwait(false);
            }
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Write(byte[] buffer, int offset, int count) =>
            throw new NotSupportedException("Input is written asynchronously.");

        public override void Flush()
        {
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
