using System.Globalization;
using Npgsql.Replication;
using SmcDr.Core.Postgres.Wal.Spilling;

namespace SmcDr.Core.Postgres.Wal;

/// <content>What is told of the stream.</content>
public sealed partial class WalReceiver
{
    private readonly WalDelay _delay = new(TimeProvider.System);
    private StreamPositions? _stream;

    private void Report(string state, string? message)
    {
        WalStreamStatus status;
        lock (_lock)
        {
            StreamPositions? stream = _stream;
            Lsn? server = stream is null ? null : new Lsn((ulong)stream.Connection.LastReceivedLsn);
            SlotFacts? slot = _slotWatch?.Facts;
            SynchronousFacts? synchronous = _guard?.Facts;
            SpillFacts? spill = _spill?.Facts ?? _leftSpill;
            status = _status = _status with
            {
                State = state == "Streaming" && spill?.Since is not null ? "Spilling" : state,
                SystemId = _systemId?.ToString(CultureInfo.InvariantCulture),
                Timeline = (int?)stream?.Timeline ?? _status.Timeline,
                Slot = stream?.Slot ?? _options.Slot,
                ReceivedLsn = stream?.Received.ToString() ?? _status.ReceivedLsn,
                FlushedLsn = stream?.Flushed.ToString() ?? _status.FlushedLsn,
                ServerLsn = server is { Value: > 0 } ? server.ToString() : _status.ServerLsn,
                LagBytes = server is { Value: > 0 } lsn ? Math.Max(0, lsn - stream!.Flushed) : _status.LagBytes,
                // What an earlier process has spilled is as old as its file.
                LagSeconds = Math.Max(_delay.Value.TotalSeconds, spill?.Since is { } since ? (DateTimeOffset.UtcNow - since).TotalSeconds : 0),
                SlotState = slot?.State,
                RetainedBytes = slot?.RetainedBytes,
                SafeWalBytes = slot?.SafeBytes,
                BaseBackupNeeded = _needsBaseBackup,
                SynchronousState = synchronous?.State,
                BreachCount = synchronous?.BreachCount ?? 0,
                DegradedSince = synchronous?.DegradedSince,
                SpilledBytes = spill?.Bytes,
                SpillingSince = spill?.Since,
                SpillDirectory = spill?.Directory,
                SegmentCount = _segments,
                ReceivedBytes = Interlocked.Read(ref _receivedBytes),
                Reconnects = _reconnects,
                Time = DateTimeOffset.UtcNow,
                Message = message ?? Note(synchronous, spill),
            };
        }

        _progress?.Report(status);
    }

    /// <summary>What must not be overlooked while nothing else is to be said.</summary>
    private string? Note(SynchronousFacts? synchronous, SpillFacts? spill) =>
        _needsBaseBackup ? "Take a base backup now: the stream went on behind a gap."
        : spill is { Since: not null, IsFull: true } ? $"The spill in '{spill.Directory}' is full, and WAL stays on the server. {spill.Reason}".TrimEnd()
        : spill is { Since: not null } ? $"{DisplayText.Size(spill.Bytes)} of WAL are on this host only, in '{spill.Directory}'. {spill.Reason}".TrimEnd()
        : synchronous is { DegradedSince: not null } ? "Commits do not wait for the repository."
        : null;

    /// <summary>Tells again how it stands, since something beside the positions has changed.</summary>
    private void ReportAgain()
    {
        WalStreamStatus status = Status;
        bool isLive = status.State is "Streaming" or "Spilling";
        Report(isLive ? "Streaming" : status.State, isLive ? null : status.Message);
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

    /// <summary>Where a connection's stream is. Under the receiver's lock.</summary>
    private sealed class StreamPositions(PhysicalReplicationConnection connection, uint timeline, string slot, Lsn start)
    {
        public PhysicalReplicationConnection Connection { get; } = connection;

        public uint Timeline { get; } = timeline;

        public string Slot { get; } = slot;

        public Lsn Received { get; set; } = start;

        public Lsn Flushed { get; set; } = start;
    }
}
