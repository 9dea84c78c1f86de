using SmcDr.Core.Operations;

namespace SmcDr.Cli.Output;

/// <summary>Writes lines for logs: each activity when it begins and when it is over, and between at most one line in ten seconds.</summary>
internal sealed class PlainObserver(TextWriter writer, bool verbose, TimeProvider clock) : IOperationObserver
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);
    private readonly Dictionary<string, long> _written = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();

    public void Verbose(string message)
    {
        if (verbose)
        {
            WriteLine(message);
        }
    }

    public void Warning(string message) => WriteLine($"Warning: {message}");

    public void Progress(OperationProgress progress)
    {
        CurrentActivity.Name = progress.IsCompleted ? null : progress.Activity;
        lock (_lock)
        {
            bool isDue = !_written.TryGetValue(progress.Activity, out long last) || clock.GetElapsedTime(last) >= s_interval;
            if (progress.IsCompleted)
            {
                _written.Remove(progress.Activity);
            }
            else if (isDue)
            {
                _written[progress.Activity] = clock.GetTimestamp();
            }

            if (isDue || progress.IsCompleted)
            {
                WriteLine(ProgressText.Describe(progress) + (progress.IsCompleted ? ", over." : "."));
            }
        }
    }

    private void WriteLine(string message)
    {
        lock (_lock)
        {
            writer.WriteLine(ErrorText.OneLine(message));
        }
    }
}
