using System.Collections.Concurrent;
using SmcDr.Core.Operations;
using Spectre.Console;

namespace SmcDr.Cli.Output;

/// <summary>Shows on standard error what an operation tells: moving bars on a terminal, a line now and then elsewhere.</summary>
internal static class ProgressDisplay
{
    public static async Task<T> RunAsync<T>(CliContext context, Func<IOperationObserver, Task<T>> work)
    {
        if (!context.IsRichError)
        {
            return await work(context.CreatePlainObserver()).ConfigureAwait(false);
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(context.Host.Error) });
        return await console.Progress()
            .HideCompleted(true)
            .AutoClear(true)
            .Columns(
                new TaskDescriptionColumn { Alignment = Justify.Left },
                new ProgressBarColumn { Width = 24 },
                new PercentageColumn(),
                new ElapsedTimeColumn())
            .StartAsync(progress => work(new RichObserver(console, progress, context.Verbose)))
            .ConfigureAwait(false);
    }

    private sealed class RichObserver(IAnsiConsole console, ProgressContext progress, bool verbose) : IOperationObserver
    {
        private readonly ConcurrentDictionary<string, ProgressTask> _tasks = new(StringComparer.Ordinal);

        public void Verbose(string message)
        {
            if (verbose)
            {
                console.Write(new Text(ErrorText.OneLine(message) + "\n", new Style(Color.Grey)));
            }
        }

        public void Warning(string message) =>
            console.Write(new Text($"Warning: {ErrorText.OneLine(message)}\n", new Style(Color.Yellow)));

        public void Progress(OperationProgress report)
        {
            lock (_tasks)
            {
                ProgressTask task = _tasks.GetOrAdd(report.Activity, name => progress.AddTask(Markup.Escape(name)));
                task.Description = Markup.Escape(ErrorText.OneLine(ProgressText.Describe(report)));
                task.IsIndeterminate = report.Total is null && !report.IsCompleted;
                if (report.Total is > 0 and { } total)
                {
                    task.MaxValue = total;
                    task.Value = report.Done;
                }

                if (report.IsCompleted)
                {
                    task.StopTask();
                    _tasks.TryRemove(report.Activity, out _);
                }
            }

            CurrentActivity.Name = report.IsCompleted ? null : report.Activity;
        }
    }
}
