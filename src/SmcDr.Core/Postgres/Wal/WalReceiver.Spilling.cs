using Npgsql.Replication;
using SmcDr.Core.Leases;
using SmcDr.Core.Postgres.Wal.Spilling;

namespace SmcDr.Core.Postgres.Wal;

/// <content>What happens while the repository is full or away.</content>
public sealed partial class WalReceiver
{
    private SpillFacts? _leftSpill;

    // A commit that waits for the repository must not be told of what is on this host only.
    private bool MaySpill => _spill is not null && !_options.Synchronous;

    /// <summary>Opens the archive as the stream sees it: with what is spilled, which is on its way to the repository from here on.</summary>
    private async Task<WalArchive> OpenArchiveAsync(ulong systemId, CancellationToken cancellationToken)
    {
        _fence ??= await Fence.EnterAsync(_repository, _options.Fencing, cancellationToken).ConfigureAwait(false);
        if (_options.SpillDirectory is { } directory)
        {
            // Before the claim: a spill of somebody else's is to be refused before anything of this stream shows.
            _spill ??= await WalSpill.OpenAsync(
                _repository,
                systemId,
                _fence?.Epoch ?? 0,
                new WalSpillOptions
                {
                    Directory = directory,
                    Limit = _options.SpillLimit,
                    Patience = _options.SpillAfter,
                    RetryDelay = _options.ReconnectDelay,
                    MaximumRetryDelay = _options.MaximumReconnectDelay,
                },
                _observer,
                cancellationToken).ConfigureAwait(false);
            _leftSpill = null;
        }

        await ClaimAsync(systemId, cancellationToken).ConfigureAwait(false);
        if (_spill is null)
        {
            return new WalArchive(_repository, systemId) { Guard = this, Observer = _observer };
        }

        if (!MaySpill)
        {
            await _spill.BringAllAsync(CheckPermissionAsync, CheckFenceAsync, cancellationToken).ConfigureAwait(false);
            return new WalArchive(_repository, systemId) { Guard = this, Observer = _observer };
        }

        _spill.ThrowIfFailed();
        _spill.Start(CheckPermissionAsync, CheckFenceAsync, OnSpillChanged, DescribeServer);
        return new WalArchive(_spill.Repository, systemId) { Guard = this, Observer = _observer };
    }

    /// <inheritdoc/>
    Task IWalGuard.BeforeStoringAsync(CancellationToken cancellationToken) => CheckAsync(CheckPermissionAsync, cancellationToken);

    /// <inheritdoc/>
    Task IWalGuard.AfterStoringAsync(CancellationToken cancellationToken) => CheckAsync(CheckFenceAsync, cancellationToken);

    /// <summary>Makes sure that this stream is still the one, and its region the one, that brings the WAL.</summary>
    private Task CheckPermissionAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(CheckFenceAsync(cancellationToken), _claim?.CheckAsync(cancellationToken) ?? Task.CompletedTask);

    private Task CheckFenceAsync(CancellationToken cancellationToken) => _fence?.CheckAsync(cancellationToken) ?? Task.CompletedTask;

    /// <summary>A stream that has nothing to store is to learn of the next epoch as well.</summary>
    private async Task WatchFenceAsync(CancellationTokenSource reading, CancellationToken cancellationToken)
    {
        while (_fence is { IsClosed: false } fence)
        {
            await Task.Delay(_options.ClaimInterval, cancellationToken).ConfigureAwait(false);
            try
            {
                await fence.CheckAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code != SmcErrorCode.Fenced)
            {
                _observer.Verbose($"Whether the region is fenced off cannot be looked at: {e.Message}");
            }
            catch (SmcException)
            {
                await reading.CancelAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// One whose server is away learns of it before it tries again: a region that is lost is that of a server that is away, and the claim of its stream would
    /// keep that of the new region out.
    /// </summary>
    private async Task EndIfFencedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CheckFenceAsync(cancellationToken).WaitAsync(_options.ServerTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException || (e is SmcException { Code: not SmcErrorCode.Fenced }))
        {
            _observer.Verbose($"Whether the region is fenced off cannot be looked at: {e.Message}");
        }
    }

    /// <summary>Carries a check of the repository out. What cannot be found out is left to when WAL goes to the repository.</summary>
    private async Task CheckAsync(Func<CancellationToken, Task> check, CancellationToken cancellationToken)
    {
        if (!MaySpill)
        {
            await check(cancellationToken).ConfigureAwait(false);
            return;
        }

        _fence?.ThrowIfClosed();
        _claim?.ThrowIfLost();
        if (_spill!.IsActive)
        {
            return;
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        CancellationToken token = limit.Token;
        try
        {
            // A directory whose file system hangs does not return at all.
            await Task.Run(() => check(token), CancellationToken.None).WaitAsync(_options.SpillAfter, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SpillingObjectStore.IsAway(e))
        {
            _spill.Begin(e);
        }
        catch (TimeoutException e)
        {
            await limit.CancelAsync().ConfigureAwait(false);
            _spill.Begin(new SmcException(
                SmcErrorCode.StorageUnavailable,
                $"{_repository.Location} has not answered within {DisplayText.Duration(_options.SpillAfter)}.",
                e,
                target: _repository.Location));
        }
    }

    /// <summary>
    /// What is archived. Where the repository cannot be asked and this stream has its position already, what is spilled is enough: the
    /// segment in which it stands is stored again, in pieces that overlap.
    /// </summary>
    private async Task<WalCatalog> LoadCatalogAsync(WalArchive archive, CancellationToken cancellationToken)
    {
        try
        {
            return await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (MaySpill && _position is not null && SpillingObjectStore.IsAway(e))
        {
            _observer.Verbose($"The stream goes on by what it knows, since the repository cannot be asked: {e.Message}");
            return await WalCatalog.LoadAsync(_spill!.Local, archive.SystemId, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Where the slot was told of more than is archived, a stream elsewhere has received it, and may have it still. Null where nothing is missing.
    /// </summary>
    private string? FindSpilledElsewhere(PhysicalReplicationSlot slot, Lsn end)
    {
        // One that was just made begins at the present, and has been told of nothing.
        if (_options.Slot is null || _slotIsNew || slot.RestartLsn is not { } restart || new Lsn((ulong)restart) <= end)
        {
            return null;
        }

        string message =
            $"The slot '{slot.Name}' was told that WAL up to {new Lsn((ulong)restart)} is durable, and the archive ends at {end}: what an earlier " +
            $"stream received may still be spilled {StreamHolder.DescribeSpills(_claim?.Replaced ?? [])}.";
        _observer.Warning($"{message} Run the stream there, so that it is brought.");
        return message;
    }

    private void OnSpillChanged()
    {
        Advance();
        ReportAgain();
    }

    private string? DescribeServer() => _slotWatch?.Facts is not { } facts ? null
        : facts.KeepBytes is null
            ? $"It keeps {DisplayText.Size(facts.RetainedBytes)} for the slot now, and goes on until its disk is full."
            : $"It may write {DisplayText.Size(facts.SafeBytes)} more before the slot can be lost.";

    private async Task EndSpillAsync()
    {
        if (_spill is not { } spill)
        {
            return;
        }

        await spill.DisposeAsync().ConfigureAwait(false);
        SpillFacts facts = spill.Facts;
        lock (_lock)
        {
            (_spill, _leftSpill) = (null, facts);
        }

        if (facts.Bytes > 0)
        {
            _claim?.IsLeft = true;
            _observer.Warning(
                $"{DisplayText.Size(facts.Bytes)} of WAL are not in the repository and stay in '{facts.Directory}' on this host. The next stream on this " +
                "host brings them; keep the directory until then.");
        }
    }

    private static SmcException TakenWhileSpilling(SmcException cause, WalSpill spill) => new(
        cause.Code,
        $"{cause.Message} {DisplayText.Size(spill.Bytes)} of WAL that this one received are not there and stay in '{spill.Path}' on {Environment.MachineName}.",
        cause,
        recommendation: "Look whether the other stream has found all that it needs on the server (Get-SmcRecoveryWindow shows a gap otherwise). Where it has " +
            "not, run the stream here once, with -Takeover (or --takeover), so that what is spilled is brought. " + cause.Recommendation,
        target: cause.Target);
}
