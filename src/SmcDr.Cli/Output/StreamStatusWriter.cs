namespace SmcDr.Cli.Output;

/// <summary>Writes a stream's statuses: a line for people every few seconds and at each change of state, or the same as lines of JSON.</summary>
internal sealed class StreamStatusWriter(TextWriter output, TextWriter error, bool json, TimeProvider clock) : IProgress<WalStreamStatus>
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);
    private readonly Lock _lock = new();
    private WalStreamStatus? _last;
    private WalStreamStatus? _written;
    private long _writtenTime;

    public void Report(WalStreamStatus value)
    {
        lock (_lock)
        {
            _last = value;
            if (_written is null || _written.State != value.State ||
                _written.SynchronousState != value.SynchronousState || clock.GetElapsedTime(_writtenTime) >= s_interval)
            {
                Write(value);
            }
        }
    }

    /// <summary>Writes the last status, where it was held back.</summary>
    public void WriteLast()
    {
        lock (_lock)
        {
            if (_last is { } last && !ReferenceEquals(last, _written))
            {
                Write(last);
            }
        }
    }

    private void Write(WalStreamStatus status)
    {
        _written = status;
        _writtenTime = clock.GetTimestamp();
        if (json)
        {
            JsonOutput.Write(output, status);
            output.Flush();
            return;
        }

        string[] parts =
        [
            $"{DisplayText.Time(status.Time)} {status.State}",
            status.SynchronousState?.ToLowerInvariant() ?? "",
            status.FlushedLsn is { } lsn ? FormattableString.Invariant($"durable to {lsn} on timeline {status.Timeline}") : "",
            status.LagBytes is { } bytes ? $"{DisplayText.Size(bytes)} behind" : "",
            status.SegmentCount > 0 ? FormattableString.Invariant($"{status.SegmentCount} segments") : "",
            status.Message ?? "",
        ];
        error.WriteLine(ErrorText.OneLine(string.Join(", ", parts.Where(static part => part.Length > 0))));
    }
}
