using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Management.Automation;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using SmcDr.Core.Operations;

namespace SmcDr.PowerShell.Bridge;

/// <summary>How the asynchronous part of a cmdlet talks to PowerShell, from any thread.</summary>
/// <remarks>
/// PowerShell accepts output, questions and errors on the pipeline thread alone. That thread runs <see cref="Run"/>,
/// which does what the worker asks for until the worker has ended: the prompt never comes back before that, whichever
/// of Ctrl+C, <c>Select-Object -First</c> and <c>-ErrorAction Stop</c> ended the pipeline.
/// </remarks>
[SuppressMessage(
    "Design", "CA1001", Justification = "The end of the work disposes the progress; a cmdlet must not dispose its pipeline.")]
public sealed class SmcPipeline : IOperationObserver
{
    private readonly Channel<PipelineCall> _calls =
        Channel.CreateUnbounded<PipelineCall>(new UnboundedChannelOptions { SingleReader = true });

    // Touched by the pipeline thread alone.
    private readonly Dictionary<int, ProgressRecord> _shown = [];

    private readonly ProgressReporter _progress;
    private readonly CancellationToken _stopping;
    private bool _isAsked;

    internal SmcPipeline(CancellationToken stopping)
    {
        _stopping = stopping;
        _progress = new ProgressReporter(record => Post(new PipelineNote(cmdlet => Show(cmdlet, record))), TimeProvider.System);
    }

    /// <summary>Cancelled when the pipeline ends.</summary>
    internal CancellationToken Stopping => _stopping;

    /// <summary>The last failure after which the command went on; null where there was none.</summary>
    internal SmcException? LastError { get; private set; }

    /// <summary>Whether somebody was asked, and said no each time.</summary>
    internal bool IsDeclined { get; private set; }

    /// <summary>Writes an object and waits until the commands behind have taken it.</summary>
    /// <exception cref="OperationCanceledException">The pipeline is over: no further object is wanted.</exception>
    public Task WriteObjectAsync(object value, bool enumerateCollection = false) =>
        AskAsync(cmdlet =>
        {
            cmdlet.WriteObject(value, enumerateCollection);
            return true;
        });

    /// <summary>Reports a failure of one item, after which the command goes on.</summary>
    /// <exception cref="OperationCanceledException">The operator wants errors to end the command.</exception>
    public Task WriteErrorAsync(SmcException error, object? target = null)
    {
        LastError = error;
        ErrorRecord record = ErrorRecords.From(error, target);
        return AskAsync(cmdlet =>
        {
            cmdlet.WriteError(record);
            return true;
        });
    }

    /// <summary>Asks whether to do <paramref name="action"/> to <paramref name="target"/>: <c>-WhatIf</c> and <c>-Confirm</c>.</summary>
    public Task<bool> ShouldProcessAsync(string target, string action) =>
        ConfirmAsync(cmdlet => cmdlet.ShouldProcess(target, action));

    /// <summary>Asks in words of its own, where target and action do not say it all, such as for a plan of several steps.</summary>
    public Task<bool> ShouldProcessAsync(string description, string question, string caption) =>
        ConfirmAsync(cmdlet => cmdlet.ShouldProcess(description, question, caption));

    /// <summary>Asks a question that <c>-Confirm:$false</c> does not answer.</summary>
    public Task<bool> ShouldContinueAsync(string question, string caption) =>
        ConfirmAsync(cmdlet => cmdlet.ShouldContinue(question, caption));

    /// <summary>Runs something that needs the session, such as resolving a path, on the pipeline thread.</summary>
    /// <remarks>What <paramref name="function"/> throws is thrown here and does not end the pipeline.</remarks>
    public Task<T> InvokeAsync<T>(Func<PSCmdlet, T> function) => AskAsync(function, failureIsAnswer: true);

    /// <summary>Writes a message to the verbose stream: a decision and its reason.</summary>
    public void WriteVerbose(string message) => Post(new PipelineNote(cmdlet => cmdlet.WriteVerbose(message)));

    /// <summary>Writes a message to the debug stream.</summary>
    public void WriteDebug(string message) => Post(new PipelineNote(cmdlet => cmdlet.WriteDebug(message)));

    /// <summary>Writes a message to the warning stream: something is degraded, and the command goes on.</summary>
    /// <remarks>While the work is being unwound the stream is closed already, and the host shows the message.</remarks>
    public void WriteWarning(string message) =>
        Post(new PipelineNote(cmdlet => cmdlet.WriteWarning(message), cmdlet => WarnOnHost(cmdlet, message)));

    /// <summary>Writes a record to the information stream.</summary>
    public void WriteInformation(object messageData, params string[] tags) =>
        Post(new PipelineNote(cmdlet => cmdlet.WriteInformation(messageData, tags)));

    /// <inheritdoc/>
    public void Progress(OperationProgress progress) => _progress.Report(progress);

    void IOperationObserver.Verbose(string message) => WriteVerbose(message);

    void IOperationObserver.Warning(string message) => WriteWarning(message);

    /// <summary>Starts <paramref name="work"/> and serves it on this thread until it has ended.</summary>
    /// <param name="cmdlet">The cmdlet whose pipeline thread this is.</param>
    /// <param name="work">The work, which runs on other threads.</param>
    /// <param name="cancel">Asks the work to stop; must not block.</param>
    /// <param name="patience">How long to wait for work that was asked to stop.</param>
    /// <exception cref="WorkAbandonedException">The work did not stop in time and may still go on.</exception>
    internal void Run(
        PSCmdlet cmdlet, Func<SmcPipeline, CancellationToken, Task> work, Action cancel, UnwindPatience patience)
    {
        // A stop wakes the pump, so that its patience begins even if the work never says another word.
        using CancellationTokenRegistration wake =
            _stopping.Register(() => Post(new PipelineNote(static _ => throw new PipelineStoppedException())));
        Task worker = Task.Run(() => WorkAsync(work), CancellationToken.None);

        ExceptionDispatchInfo? stop = null;
        try
        {
            stop = Pump(cmdlet, cancel, patience);
        }
        finally
        {
            Clear(cmdlet);
        }

        try
        {
            worker.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (stop is not null || _stopping.IsCancellationRequested)
        {
            stop ??= ExceptionDispatchInfo.Capture(new PipelineStoppedException());
        }
        catch (Exception e) when (stop is not null)
        {
            // The pipeline's own reason is thrown below; what went wrong while unwinding must not get lost over it.
            WarnOnHost(cmdlet, e is SmcException ? $"While stopping: {e.Message}" : $"While stopping: {e}");
        }

        stop?.Throw();
    }

    private static void WarnOnHost(PSCmdlet cmdlet, string message)
    {
        try
        {
            cmdlet.Host?.UI?.WriteWarningLine(message);
        }
        catch (Exception e) when (e is PSNotImplementedException or InvalidOperationException or NotSupportedException)
        {
            // A host without a user interface: there is nobody left to tell.
        }
    }

    private async Task WorkAsync(Func<SmcPipeline, CancellationToken, Task> work)
    {
        try
        {
            await work(this, _stopping).ConfigureAwait(false);
        }
        finally
        {
            _progress.Dispose();
            _calls.Writer.TryComplete();
        }
    }

    /// <summary>Does what is asked for until the work has ended. Returns what ended the pipeline before, if anything.</summary>
    private ExceptionDispatchInfo? Pump(PSCmdlet cmdlet, Action cancel, UnwindPatience patience)
    {
        ExceptionDispatchInfo? stop = null;
        OperationCanceledException? refusal = null;
        long stopped = 0;
        bool told = false;

        while (true)
        {
            while (refusal is null && _calls.Reader.TryRead(out PipelineCall? call))
            {
                try
                {
                    call.Run(cmdlet);
                }
                catch (Exception e)
                {
                    // Not only stops: a host that cannot ask, or a formatter that fails, ends the pipeline as well.
                    // Select-Object -First signals neither StopProcessing nor a token, this exception is all there is.
                    stop = ExceptionDispatchInfo.Capture(e);
                    refusal = new OperationCanceledException("The pipeline has been stopped.", e, _stopping);
                    stopped = Stopwatch.GetTimestamp();
                    cancel();
                    call.Refuse(cmdlet, refusal);
                }
            }

            if (refusal is not null)
            {
                RefuseRest(cmdlet, refusal);
            }

            Task<bool> more = _calls.Reader.WaitToReadAsync(CancellationToken.None).AsTask();
            if (stop is not null)
            {
                if (!told && !WaitUntil(more, stopped, patience.Notice))
                {
                    told = true;
                    WarnOnHost(cmdlet, "Stopping: waiting until what was begun has been undone or left in a safe state.");
                }

                if (!WaitUntil(more, stopped, patience.Limit))
                {
                    _calls.Writer.TryComplete();
                    RefuseRest(cmdlet, refusal!);
                    WarnOnHost(
                        cmdlet,
                        $"The work did not stop within {DisplayText.Duration(patience.Limit)} and may still go on in " +
                        "this process. End the process before you start anything on the same target.");
                    throw new WorkAbandonedException(stop);
                }
            }

            if (!more.GetAwaiter().GetResult())
            {
                return stop;
            }
        }
    }

    private void RefuseRest(PSCmdlet cmdlet, OperationCanceledException refusal)
    {
        while (_calls.Reader.TryRead(out PipelineCall? call))
        {
            call.Refuse(cmdlet, refusal);
        }
    }

    private static bool WaitUntil(Task task, long since, TimeSpan limit)
    {
        TimeSpan left = limit - Stopwatch.GetElapsedTime(since);
        return task.Wait(left > TimeSpan.Zero ? left : TimeSpan.Zero);
    }

    private void Post(PipelineCall call)
    {
        // After the work's end only a stray notice of something the work left behind can come, and nobody reads it.
        _ = _calls.Writer.TryWrite(call);
    }

    private async Task<T> AskAsync<T>(Func<PSCmdlet, T> function, bool failureIsAnswer = false)
    {
        _stopping.ThrowIfCancellationRequested();
        PipelineRequest<T> request = new(function, failureIsAnswer);
        if (!_calls.Writer.TryWrite(request))
        {
            throw new OperationCanceledException("The pipeline is over.");
        }

        return await request.Reply.ConfigureAwait(false);
    }

    private async Task<bool> ConfirmAsync(Func<PSCmdlet, bool> question)
    {
        bool isApproved = await AskAsync(question).ConfigureAwait(false);
        IsDeclined = !isApproved && (!_isAsked || IsDeclined);
        _isAsked = true;
        return isApproved;
    }

    private void Show(PSCmdlet cmdlet, ProgressRecord record)
    {
        if (record.RecordType == ProgressRecordType.Completed)
        {
            _shown.Remove(record.ActivityId);
        }
        else
        {
            _shown[record.ActivityId] = record;
        }

        cmdlet.WriteProgress(record);
    }

    /// <summary>Takes down every progress bar that is still up.</summary>
    private void Clear(PSCmdlet cmdlet)
    {
        try
        {
            // Children have higher ids than their parents, and a bar whose parent is gone would jump to the top.
            foreach (ProgressRecord record in _shown.Values.OrderByDescending(static shown => shown.ActivityId))
            {
                record.RecordType = ProgressRecordType.Completed;
                cmdlet.WriteProgress(record);
            }
        }
        catch (PipelineStoppedException)
        {
            // A stopped pipeline takes no progress; the host takes the bars down itself when it prompts.
        }

        _shown.Clear();
    }
}
