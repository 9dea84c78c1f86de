using System.Globalization;
using Npgsql.Replication;

namespace SmcDr.Core.Postgres.Wal;

/// <content>What is told of the stream.</content>
public sealed partial class WalReceiver
{
    private void Report(
        string state, string? message, WalStreamWriter? writer = null, Session? session = null, PhysicalReplicationConnection? connection = null)
    {
        WalStreamStatus status;
        lock (_lock)
        {
            Lsn? server = connection is null ? null : new Lsn((ulong)connection.LastReceivedLsn);
            status = _status = _status with
            {
                State = state,
                SystemId = _systemId?.ToString(CultureInfo.InvariantCulture),
                Timeline = (int?)session?.Timeline ?? _status.Timeline,
                Slot = session?.Slot.Name ?? _options.Slot,
                ReceivedLsn = writer?.ReceivedLsn.ToString() ?? _status.ReceivedLsn,
                FlushedLsn = writer?.FlushedLsn.ToString() ?? _status.FlushedLsn,
                ServerLsn = server is { Value: > 0 } ? server.ToString() : _status.ServerLsn,
                LagBytes = server is { Value: > 0 } lsn && writer is not null ? Math.Max(0, lsn - writer.FlushedLsn) : _status.LagBytes,
                LagSeconds = writer is null ? _status.LagSeconds : writer.Waiting?.TotalSeconds ?? 0,
                SegmentCount = _segments,
                ReceivedBytes = Interlocked.Read(ref _receivedBytes),
                Reconnects = _reconnects,
                Time = DateTimeOffset.UtcNow,
                Message = message,
            };
        }

        _progress?.Report(status);
    }

    private void End(Exception cause)
    {
        List<TaskCompletionSource> left;
        lock (_lock)
        {
            (_isRunning, _ended) = (false, cause);
            left = [.. _waiters.Select(static waiter => waiter.Completion)];
            _waiters.Clear();
        }

        foreach (TaskCompletionSource completion in left)
        {
            completion.TrySetException(Ended(cause));
        }
    }
}
