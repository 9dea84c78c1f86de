using SmcDr.Core.Operations;
using Spectre.Console;

namespace SmcDr.Cli.Output;

/// <summary>Shows a drill on standard error while it runs: a growing table on a terminal, a line for each step elsewhere.</summary>
internal static class DrillDisplay
{
    private static readonly TimeSpan s_refreshInterval = TimeSpan.FromMilliseconds(200);

    public static async Task<DrillResult> RunAsync(
        CliContext context, Func<IOperationObserver, IProgress<DrillStep>, Task<DrillResult>> drill)
    {
        TextWriter error = context.Host.Error;
        if (!context.IsRichError)
        {
            PlainObserver observer = new(error, context.Verbose, TimeProvider.System);
            return await drill(observer, new PlainSteps(error)).ConfigureAwait(false);
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) });
        LiveSteps steps = new(console, context.Verbose);
        Task<DrillResult> work = drill(steps, steps);
        try
        {
            await console.Live(steps.Render()).AutoClear(true).StartAsync(async live =>
            {
                using PeriodicTimer timer = new(s_refreshInterval);
                while (!work.IsCompleted)
                {
                    live.UpdateTarget(steps.Render());
                    await Task.WhenAny(work, timer.WaitForNextTickAsync().AsTask()).ConfigureAwait(false);
                }
            }).ConfigureAwait(false);
        }
        finally
        {
            // A terminal that cannot be drawn on must not end the process before the drill has cleaned up behind itself.
            await ((Task)work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return await work.ConfigureAwait(false);
    }

    private sealed class PlainSteps(TextWriter error) : IProgress<DrillStep>
    {
        public void Report(DrillStep value)
        {
            CurrentActivity.Name = value.Outcome == "Running" ? value.Name : null;
            if (value.Outcome != "Running")
            {
                string took = DisplayText.Seconds(value.DurationSeconds).PadLeft(12);
                error.WriteLine($"{took}  {value.Outcome}  {value.Name}: {ErrorText.OneLine(value.Detail)}");
            }
        }
    }

    private sealed class LiveSteps(IAnsiConsole console, bool verbose) : IProgress<DrillStep>, IOperationObserver
    {
        private readonly List<DrillStep> _done = [];
        private readonly Lock _lock = new();
        private DrillStep? _running;
        private string _status = "";

        public void Report(DrillStep value)
        {
            lock (_lock)
            {
                _status = "";
                if (value.Outcome == "Running")
                {
                    _running = value;
                }
                else
                {
                    _running = null;
                    _done.Add(value);
                }
            }

            CurrentActivity.Name = value.Outcome == "Running" ? value.Name : null;
        }

        public void Verbose(string message)
        {
            if (verbose)
            {
                console.Write(new Text(ErrorText.OneLine(message) + "\n", new Style(Color.Grey)));
            }
        }

        public void Warning(string message) =>
            console.Write(new Text($"Warning: {ErrorText.OneLine(message)}\n", new Style(Color.Yellow)));

        public void Progress(OperationProgress progress)
        {
            lock (_lock)
            {
                _status = progress.IsCompleted ? "" : ErrorText.OneLine(ProgressText.Describe(progress));
            }
        }

        public Table Render()
        {
            Table table = new() { Border = TableBorder.None, ShowHeaders = false };
            table.AddColumn(new TableColumn("").NoWrap());
            table.AddColumn(new TableColumn("").RightAligned().NoWrap());
            table.AddColumn(new TableColumn(""));
            lock (_lock)
            {
                foreach (DrillStep step in _done)
                {
                    bool passed = step.Outcome == "Passed";
                    table.AddRow(
                        new Text(passed ? "✓" : "✗", new Style(passed ? Color.Green : Color.Red, decoration: Decoration.Bold)),
                        new Text(DisplayText.Seconds(step.DurationSeconds), new Style(Color.Grey)),
                        new Text(step.Name));
                }

                if (_running is { } running)
                {
                    table.AddRow(
                        new Text("●", new Style(Color.Blue)),
                        new Text(DisplayText.Duration(DateTimeOffset.UtcNow - running.StartTime), new Style(Color.Grey)),
                        new Text(_status.Length > 0 ? $"{running.Name} ({_status})" : running.Name, new Style(decoration: Decoration.Bold)));
                }
                else if (_done.Count == 0)
                {
                    // Spectre.Console cannot draw a table that has neither headers nor rows.
                    table.AddRow("", "", "Looking whether a drill can be run here");
                }
            }

            return table;
        }
    }
}
