using SmcDr.Core.Operations;

namespace SmcDr.Core.Kubernetes.Jobs;

/// <summary>Takes what a command in a pod tells, once and in its order, and hands it on as if it had happened here.</summary>
/// <typeparam name="T">The command's results.</typeparam>
internal sealed class JobEvents<T>(IOperationObserver observer, string? prefix, Func<T, Task> onResult)
{
    private const int KeptLines = 3;
    private readonly HashSet<string> _activities = new(StringComparer.Ordinal);
    private readonly Queue<string> _lines = new();

    /// <summary>The number of the last event.</summary>
    public long Last { get; private set; }

    /// <summary>When it was told, by the pod's clock.</summary>
    public DateTimeOffset? LastTime { get; private set; }

    /// <summary>What ended the command; null where nothing did.</summary>
    public CommandFailure? Failure { get; private set; }

    /// <summary>The command's exit code; null until it is over.</summary>
    public int? ExitCode { get; private set; }

    /// <summary>The last of what was said that is no event, such as by a runtime that does not start.</summary>
    public string OtherText => string.Join(' ', _lines);

    /// <summary>Takes a line of the log; one that was taken before is left out.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.JobFailed"/>: a result cannot be read.</exception>
    public async Task TakeAsync(string line)
    {
        CommandEvent? told = CommandEvent.TryParse(line);
        if (told is null)
        {
            // A connection that breaks cuts an event; it comes again.
            if (line.Length > 0 && !line.StartsWith(CommandEvent.Beginning, StringComparison.Ordinal))
            {
                TakeOther(line);
            }

            return;
        }

        if (told.Number <= Last)
        {
            return;
        }

        (Last, LastTime) = (told.Number, told.Time);
        switch (told.Kind)
        {
            case CommandEventKind.Progress when told.Progress is { } progress:
                Report(progress);
                break;
            case CommandEventKind.Warning:
                observer.Warning(Text(told.Message));
                break;
            case CommandEventKind.Verbose:
                observer.Verbose(Text(told.Message));
                break;
            case CommandEventKind.Result when told.Result is { } result:
                await onResult(Read(result)).ConfigureAwait(false);
                break;
            case CommandEventKind.Error:
                Failure = told.Error;
                break;
            case CommandEventKind.Exit:
                ExitCode = told.ExitCode;
                break;
        }
    }

    /// <summary>Ends the activities that the command has begun and not ended.</summary>
    public void Complete()
    {
        foreach (string activity in _activities)
        {
            observer.Progress(new OperationProgress(activity, "") { IsCompleted = true });
        }

        _activities.Clear();
    }

    private static T Read(System.Text.Json.JsonElement result)
    {
        try
        {
            return ResultJson.Deserialize<T>(result);
        }
        catch (System.Text.Json.JsonException e)
        {
            throw new SmcException(
                SmcErrorCode.JobFailed,
                $"What the command in the pod came to is no {typeof(T).Name} for this version of SmcDr: {KubeText.Clean(e.Message, 200)}.",
                e,
                recommendation: "Use an image of the version of this SmcDr; what the command has done is done, and Get-SmcBackup shows it.");
        }
    }

    private void Report(OperationProgress progress)
    {
        progress = progress with { Activity = Text(progress.Activity), Parent = progress.Parent is { } parent ? Text(parent) : null };
        if (progress.IsCompleted)
        {
            _activities.Remove(progress.Activity);
        }
        else
        {
            _activities.Add(progress.Activity);
        }

        observer.Progress(progress);
    }

    private void TakeOther(string line)
    {
        string text = KubeText.Clean(line, 200);
        observer.Verbose(Text(text));
        _lines.Enqueue(text);
        if (_lines.Count > KeptLines)
        {
            _lines.Dequeue();
        }
    }

    private string Text(string? text) => prefix is null ? text ?? "" : $"{prefix}: {text}";
}
