using System.Buffers.Binary;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// A connection to a port of a pod. Its end is clean only when the other side said farewell and told of no error; everything else is an error for
/// whoever reads. One direction alone cannot be closed (the protocol has no means for it).
/// </summary>
public sealed class PodPortStream : Stream
{
    private const int DataChannel = 0;
    private const int ErrorChannel = 1;

    private readonly PodChannels _socket;
    private readonly PodTarget _target;
    private readonly int _port;
    private readonly Stream _input;
    private readonly MemoryStream _errors = new();
    private readonly PipeReader _reader;
    private volatile bool _disposed;

    private PodPortStream(PodChannels socket, PodTarget target, int port)
    {
        _socket = socket;
        _target = target;
        _port = port;
        _reader = socket.Read(DataChannel);
        _input = _reader.AsStream();
        socket.Handle(ErrorChannel, data =>
        {
            if (_errors.Length < 64 << 10)
            {
                _errors.Write(data.Span);
            }
        });
        socket.Start(End);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _input.ReadAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        buffer.IsEmpty ? ValueTask.CompletedTask : _socket.SendAsync(DataChannel, buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("A connection to a pod is read asynchronously.");

    public override void Write(byte[] buffer, int offset, int count) =>
        throw new NotSupportedException("A connection to a pod is written asynchronously.");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            _disposed = true;
            await _input.DisposeAsync().ConfigureAwait(false);
            await _socket.DisposeAsync().ConfigureAwait(false);
            await base.DisposeAsync().ConfigureAwait(false);
        }
    }

    internal static async Task<PodPortStream> OpenAsync(PodChannels socket, PodTarget target, int port, CancellationToken cancellationToken)
    {
        PodPortStream connection = new(socket, target, port);
        try
        {
            // The first message of either channel is the port (kubelet, pkg/cri/streaming/portforward/websocket.go).
            byte[] head = new byte[2];
            await connection._input.ReadExactlyAsync(head, cancellationToken).ConfigureAwait(false);
            if (BinaryPrimitives.ReadUInt16LittleEndian(head) != port)
            {
                throw connection.Broken(null, "the cluster did not name the port that was asked for");
            }

            return connection;
        }
        catch (EndOfStreamException e)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw connection.Broken(e, "the cluster closed it at once");
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            // Ends in the background: nothing of it can be of interest to whoever lets go without waiting.
            _ = _socket.DisposeAsync().AsTask();
        }

        base.Dispose(disposing);
    }

    private SmcException? End(bool isFarewell, Exception? cause)
    {
        string said = _errors.Length <= 2
            ? ""
            : KubeText.Clean(Encoding.UTF8.GetString(_errors.GetBuffer(), 2, (int)_errors.Length - 2));
        return said.Length > 0
            ? Broken(cause, said)
            : isFarewell
                ? null
                : Broken(cause, _disposed ? "it was given up" : "it ended without a farewell");
    }

    private SmcException Broken(Exception? cause, string reason)
    {
        bool isRefused = reason.Contains("refused", StringComparison.OrdinalIgnoreCase);
        return new SmcException(
            SmcErrorCode.PodStreamBroken,
            string.Create(CultureInfo.InvariantCulture, $"The connection to port {_port} of the pod '{_target}' {(isRefused ? "was refused" : "broke")}: {reason}."),
            cause,
            isRefused ? "Nothing listens on that port in the pod: check the port, and whether the server in it has started (kubectl logs)." : null,
            _target.ToString());
    }
}
