namespace SmcDr.Core.Drills;

/// <summary>Writers that keep writing as applications do, each over a connection of its own, and note what the server acknowledges.</summary>
internal abstract class WriterPool : IAsyncDisposable
{
    // Busy, and far from what the server can take: a saturated server would measure its disk.
    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(4);

    private readonly DrillLedger[] _ledgers;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _tasks = [];
    private volatile bool _isServerGone;

    protected WriterPool(int count)
    {
        _ledgers = [.. Enumerable.Range(0, count).Select(static writer => new DrillLedger(writer))];
    }

    /// <summary>How much was acknowledged so far.</summary>
    public long Acknowledged => _ledgers.Sum(static ledger => ledger.Acknowledged);

    /// <summary>How many writers there are.</summary>
    protected int Count => _ledgers.Length;

    /// <summary>Whether the writers are to end.</summary>
    protected bool IsStopping => _stop.IsCancellationRequested;

    /// <summary>Whether the server is to be gone, so that a broken connection is no failure.</summary>
    protected bool IsServerGone => _isServerGone;

    /// <summary>All that was sent, writer by writer.</summary>
    public IReadOnlyList<DrillCommit> Written() => [.. _ledgers.SelectMany(static ledger => ledger.ToArray())];

    /// <summary>Waits until so much more is acknowledged.</summary>
    /// <exception cref="SmcException">A writer failed, or the server acknowledges nothing any more.</exception>
    public async Task WaitForMoreAsync(long count, CancellationToken cancellationToken)
    {
        long goal = Acknowledged + count;
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        using PeriodicTimer timer = CreatePace();
        try
        {
            while (Acknowledged < goal)
            {
                foreach (Task ended in _tasks.Where(static task => task.IsCompleted))
                {
                    await ended.ConfigureAwait(false);
                }

                await timer.WaitForNextTickAsync(limit.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.OperationTimedOut, "The drill's server acknowledged too little within two minutes.", e);
        }
    }

    /// <summary>Says that the server is about to go, so that broken connections are no failure.</summary>
    public void ExpectServerToGo() => _isServerGone = true;

    /// <summary>Ends the writers and waits for them.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_tasks).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _isServerGone = true;
        await _stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    /// <summary>How fast a writer writes.</summary>
    protected static PeriodicTimer CreatePace() => new(s_pace);

    /// <summary>Starts a writer.</summary>
    protected void Start(Func<Task> work) => _tasks.Add(Task.Run(work, CancellationToken.None));

    /// <summary>Where a writer notes what it does.</summary>
    protected DrillLedger LedgerOf(int writer) => _ledgers[writer];
}
