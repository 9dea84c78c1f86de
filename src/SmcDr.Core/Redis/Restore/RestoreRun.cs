using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Restore;

/// <summary>One restore of a backup to a running server or cluster.</summary>
internal sealed class RestoreRun : IDisposable
{
    /// <summary>How long answers to what was sent are waited for when the work ends early, so that it is known what the servers have.</summary>
    private static readonly TimeSpan s_lastAnswers = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_emptyingPoll = TimeSpan.FromMilliseconds(100);

    private readonly BackupReader _backup;
    private readonly KeySelection _selection;
    private readonly RestoreSample _sample;
    private readonly RestoreReader _reader;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _hard = new();
    private readonly SemaphoreSlim _oneLargeValue = new(1);
    private readonly Lock _lock = new();
    private ManifestEntry? _file;
    private Exception? _failure;

    public RestoreRun(
        BackupReader backup,
        RestoreTarget target,
        KeySelection selection,
        RedisRestoreOptions options,
        CountingObserver observer)
    {
        (_backup, Target, _selection, Options, Observer) = (backup, target, selection, options, observer);
        _sample = new RestoreSample(target.CanCompare ? options.SampleSize : 0);
        _reader = new RestoreReader(
            $"The RDB of the backup '{backup.Header.Id}'", selection, target, Tally, _sample, ReportProgress);
    }

    public RestoreTarget Target { get; }

    public RedisRestoreOptions Options { get; }

    public CountingObserver Observer { get; }

    public RestoreTally Tally { get; } = new();

    /// <summary>Whether nothing more is to be sent.</summary>
    public bool IsStopping => _stop.IsCancellationRequested;

    /// <summary>Is cancelled when nothing more is to be sent.</summary>
    public CancellationToken StopToken => _stop.Token;

    /// <summary>Is cancelled when answers are not waited for any longer either.</summary>
    public CancellationToken HardToken => _hard.Token;

    private BackupHeader Header => _backup.Header;

    /// <summary>Restores.</summary>
    public async Task<RedisRestoreResult> ExecuteAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset startTime = DateTimeOffset.UtcNow;
        long started = Stopwatch.GetTimestamp();
        using CancellationTokenRegistration stopping = cancellationToken.UnsafeRegister(static run => ((RestoreRun)run!).Stop(), this);
        TimeSpan sending;
        try
        {
            Manifest manifest = await _backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
            _file = RdbFile.Find(manifest);
            // Nothing is removed from a server for a backup that cannot be read.
            await _backup.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
            if (Options.Empty)
            {
                await EmptyAsync(cancellationToken).ConfigureAwait(false);
            }

            Tally.Begin(Target.Clock.Now);
            long began = Stopwatch.GetTimestamp();
            RdbSummary? summary = await SendAsync().ConfigureAwait(false);
            sending = Stopwatch.GetElapsedTime(began);
            if (_failure is not null)
            {
                throw _failure;
            }

            cancellationToken.ThrowIfCancellationRequested();
            await RestoreFunctionsAsync(summary!, cancellationToken).ConfigureAwait(false);
            RestoreVerification verification = new(Target, Tally, _selection, Header, Options);
            await verification.RunAsync(summary!, _sample.Keys, Observer, cancellationToken).ConfigureAwait(false);
            return Describe(startTime, Stopwatch.GetElapsedTime(started), sending, verification);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Observer.Warning($"The restore of '{Header.Id}' was stopped. {Tally.Describe(Total)}");
            throw;
        }
        catch (SmcException e)
        {
            throw Explain(e);
        }
    }

    /// <summary>Ends the run for a reason; the first one counts.</summary>
    public void Fail(Exception reason)
    {
        lock (_lock)
        {
            _failure ??= reason;
        }

        Stop();
    }

    /// <summary>Takes back a batch that has been sent.</summary>
    public void Return(RestoreBatch batch) => _reader.Return(batch);

    /// <summary>Reads a part of the RDB from the repository.</summary>
    public async Task ReadAsync(
        long offset, long length, Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> consume, CancellationToken cancellationToken)
    {
        // Of several at a time the blocks would fill the memory.
        await _oneLargeValue.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await RdbFile.ReadAsync(_backup, _file!, offset, length, consume, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _oneLargeValue.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop.Dispose();
        _hard.Dispose();
        _oneLargeValue.Dispose();
    }

    private long? Total => _selection.HasPatterns ? null : _selection.Of(Header.Redis!.Content)?.Sum(static database => database.Keys);

    private void Stop()
    {
        _stop.Cancel();
        _hard.CancelAfter(s_lastAnswers);
    }

    private void ReportProgress(long position) => Observer.Progress(new OperationProgress(
        RedisOnlineRestore.Activity,
        string.Create(CultureInfo.InvariantCulture, $"{Tally.Restored:N0} keys to Redis at {Target.Display}"),
        position,
        Header.SizeBytes));

    /// <summary>Reads the backup and writes to all servers, until all is done or the run ends.</summary>
    private async Task<RdbSummary?> SendAsync()
    {
        RestoreLane[] lanes =
            [.. Target.Nodes.SelectMany(node => Enumerable.Range(0, Options.Parallelism).Select(_ => new RestoreLane(this, node)))];
        Task[] sending = [.. lanes.Select(static lane => Task.Run(lane.RunAsync))];
        RdbSummary? summary = null;
        try
        {
            summary = await ReadAsync().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (IsStopping)
        {
            // Whoever stopped it says why.
        }
        catch (Exception e)
        {
            Fail(e);
        }

        foreach (RestoreNode node in Target.Nodes)
        {
            node.Queue.Writer.Complete();
        }

        await Task.WhenAll(sending).ConfigureAwait(false);
        foreach (RestoreLane lane in lanes)
        {
            await lane.DisposeAsync().ConfigureAwait(false);
        }

        return summary;
    }

    private async Task<RdbSummary> ReadAsync()
    {
        RdbFile rdb = RdbFile.Open(_backup, _file!, StopToken);
        await using (rdb.ConfigureAwait(false))
        {
            return await _reader.RunAsync(rdb.Content, StopToken).ConfigureAwait(false);
        }
    }

    private async Task EmptyAsync(CancellationToken cancellationToken)
    {
        foreach (RestoreNode node in Target.Nodes)
        {
            RedisConnection connection = await node.Connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                Observer.Progress(new OperationProgress(RedisOnlineRestore.Activity, $"Emptying Redis at {node.Display}"));
                if (_selection.Databases.Count == 0)
                {
                    await FlushAsync(connection, "FLUSHALL", cancellationToken).ConfigureAwait(false);
                }

                foreach (int database in _selection.Databases)
                {
                    await connection.ExecuteAsync(new RedisCommand("SELECT", database), cancellationToken).ConfigureAwait(false);
                    await FlushAsync(connection, "FLUSHDB", cancellationToken).ConfigureAwait(false);
                }

                // The server goes on answering while it frees memory, and would else count the old data against maxmemory.
                while ((await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false)).Number("lazyfree_pending_objects") is > 0)
                {
                    await Task.Delay(s_emptyingPoll, cancellationToken).ConfigureAwait(false);
                }
            }
        }
    }

    private async Task FlushAsync(RedisConnection connection, string command, CancellationToken cancellationToken)
    {
        // Without an answer it has to be taken for done.
        bool before = Tally.IsEmptied;
        Tally.IsEmptied = true;
        RedisReply reply = await connection.TryExecuteAsync(new RedisCommand(command, "ASYNC"), cancellationToken).ConfigureAwait(false);
        if (reply.IsError)
        {
            Tally.IsEmptied = before;
            throw connection.Translate(reply, command);
        }
    }

    private async Task RestoreFunctionsAsync(RdbSummary summary, CancellationToken cancellationToken)
    {
        if (summary.Functions.Count == 0)
        {
            return;
        }

        if (!_selection.IsEverything)
        {
            Observer.Verbose($"The {summary.Functions.Count} libraries of functions are left out, since only some keys are restored.");
            return;
        }

        byte[] dump = RdbDump.CreateFunctions(summary.Functions, Target.DumpVersion);
        bool isTaken = true;
        foreach (RestoreNode node in Target.Nodes)
        {
            RedisConnection connection = await node.Connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                RedisReply reply = await connection.TryExecuteAsync(
                    new RedisCommand("FUNCTION", "RESTORE", dump, "REPLACE"), cancellationToken).ConfigureAwait(false);
                if (reply.IsError)
                {
                    isTaken = false;
                    Tally.AddProblem(
                        $"The libraries of functions ({string.Join(", ", summary.Functions.Select(static library => library.Name))}) were not taken by Redis at {node.Display}: {RedisErrors.Clean(reply.Text)}.");
                }
            }
        }

        Tally.Functions = isTaken ? summary.Functions.Count : 0;
    }

    private RedisRestoreResult Describe(DateTimeOffset startTime, TimeSpan duration, TimeSpan sending, RestoreVerification verification)
    {
        IReadOnlyList<string> problems = Tally.ListProblems();
        foreach (string problem in problems)
        {
            Observer.Warning(problem);
        }

        double seconds = Math.Max(sending.TotalSeconds, 0.001);
        return new RedisRestoreResult
        {
            BackupId = Header.Id,
            Method = RedisRestoreMethod.Online,
            Target = Target.Display,
            State = problems.Count == 0 ? "Complete" : nameof(BackupState.Partial),
            KeysRestored = Tally.Restored,
            KeysExpired = Tally.Expired,
            KeysSkipped = Tally.Skipped,
            KeysFailed = Tally.Failed,
            SizeBytes = Tally.RestoredBytes,
            Databases = string.Join(", ", Tally.ListDatabases()),
            Functions = Tally.Functions,
            MissingModules = Tally.MissingModules,
            Verified = problems.Count > 0 ? false : verification.IsCompared ? true : null,
            SampledKeys = verification.SampledKeys,
            MismatchedKeys = verification.MismatchedKeys,
            WarningCount = Observer.Warnings,
            Problems = problems,
            SuspendFirst = Target.SuspendFirst,
            StartTime = startTime,
            Duration = duration,
            KeysPerSecond = Math.Round(Tally.Restored / seconds, 1),
            BytesPerSecond = Math.Round(Tally.RestoredBytes / seconds, 1),
        };
    }

    private SmcException Explain(SmcException e)
    {
        if (!Tally.HasChanged)
        {
            return e;
        }

        bool isBreak = e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.OperationTimedOut or SmcErrorCode.TargetIsReplica;
        SmcErrorCode code = isBreak ? SmcErrorCode.RestoreInterrupted : e.Code;
        string? advice = code == SmcErrorCode.RestoreInterrupted ? null : $"{e.Recommendation} Then run the same command again: it writes every key anew.";
        return new SmcException(code, $"{e.Message} {Tally.Describe(Total)}", e, advice, e.Target);
    }
}
