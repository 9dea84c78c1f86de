using System.Text.Json;
using SmcDr.Core.Operations;

namespace SmcDr.Cli.Output;

/// <summary>Writes everything that a command tells as lines of JSON, for a program that reads a log: <see cref="CommandEvent"/>.</summary>
internal sealed class CommandEventWriter(TextWriter writer, TimeProvider clock) : IOperationObserver, IProgress<WalStreamStatus>
{
    // A log is kept: a line a second for each activity is enough to see that it moves.
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_statusInterval = TimeSpan.FromSeconds(5);
    private readonly Dictionary<string, long> _written = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private WalStreamStatus? _status;
    private WalStreamStatus? _last;
    private long _statusTime;
    private long _number;

    public void Verbose(string message) => Write(CommandEventKind.Verbose, each => each with { Message = message });

    public void Warning(string message) => Write(CommandEventKind.Warning, each => each with { Message = message });

    public void Progress(OperationProgress progress)
    {
        CurrentActivity.Name = progress.IsCompleted ? null : progress.Activity;
        lock (_lock)
        {
            if (progress.IsCompleted)
            {
                _written.Remove(progress.Activity);
            }
            else if (_written.TryGetValue(progress.Activity, out long last) && clock.GetElapsedTime(last) < s_interval)
            {
                return;
            }
            else
            {
                _written[progress.Activity] = clock.GetTimestamp();
            }

            Write(CommandEventKind.Progress, each => each with { Progress = progress });
        }
    }

    public void Result<T>(T result)
    {
        JsonElement value = ResultJson.ToElement(result);
        Write(CommandEventKind.Result, each => each with { Result = value });
    }

    public void Error(SmcException error) => Write(CommandEventKind.Error, each => each with { Error = CommandFailure.From(error) });

    public void Exit(int exitCode) => Write(CommandEventKind.Exit, each => each with { ExitCode = exitCode });

    /// <inheritdoc/>
    public void Report(WalStreamStatus value)
    {
        lock (_lock)
        {
            _last = value;
            if (_status?.State != value.State || _status.SynchronousState != value.SynchronousState || clock.GetElapsedTime(_statusTime) >= s_statusInterval)
            {
                (_status, _statusTime) = (value, clock.GetTimestamp());
                Result(value);
            }
        }
    }

    /// <summary>Tells the last status, where it was held back.</summary>
    public void WriteLastStatus()
    {
        lock (_lock)
        {
            if (_last is { } last && !ReferenceEquals(last, _status))
            {
                _status = last;
                Result(last);
            }
        }
    }

    private void Write(CommandEventKind kind, Func<CommandEvent, CommandEvent> complete)
    {
        lock (_lock)
        {
            writer.WriteLine(complete(new CommandEvent { Number = ++_number, Kind = kind, Time = clock.GetUtcNow() }));
            writer.Flush();
        }
    }
}
