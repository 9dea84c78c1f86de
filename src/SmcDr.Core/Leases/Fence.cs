using SmcDr.Core.Repositories;

namespace SmcDr.Core.Leases;

/// <summary>The epoch in which a region began to write. It does so until the next epoch begins.</summary>
public sealed class Fence
{
    private readonly FencingEpochs _epochs;
    private SmcException? _failure;

    internal Fence(FencingEpochs epochs, long epoch, string region) => (_epochs, Epoch, Region) = (epochs, epoch, region);

    /// <summary>The epoch; 0 where there is none yet.</summary>
    public long Epoch { get; }

    /// <summary>The region that writes.</summary>
    public string Region { get; }

    /// <summary>Whether <see cref="CheckAsync"/> has found that the epoch is over.</summary>
    public bool IsClosed => Volatile.Read(ref _failure) is not null;

    /// <summary>Enters the present epoch on behalf of a region; null where nothing is known of regions.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.Fenced"/>: it is that of another region.</exception>
    public static async Task<Fence?> EnterAsync(Repository repository, FencingScope? scope, CancellationToken cancellationToken) => scope is null
        ? null
        : await new FencingEpochs(repository, scope.Site).EnterAsync(scope.Region, cancellationToken).ConfigureAwait(false);

    /// <summary>Makes sure that the epoch is the present one: before each write, and after it before it is acknowledged.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.Fenced"/>: the next has begun.</exception>
    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        ThrowIfClosed();
        if (!await _epochs.IsBegunAsync(Epoch + 1, cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        FencingEpoch? next = null;
        try
        {
            next = await _epochs.ReadAsync(Epoch + 1, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException)
        {
            // Who began it cannot be told; that it has begun is enough.
        }

        Interlocked.CompareExchange(ref _failure, Refuse(next), null);
        ThrowIfClosed();
    }

    /// <summary>Throws where it is known already that the epoch is over.</summary>
    public void ThrowIfClosed()
    {
        if (Volatile.Read(ref _failure) is { } failure)
        {
            throw failure;
        }
    }

    internal SmcException Refuse(FencingEpoch? present) => new(
        SmcErrorCode.Fenced,
        $"The region '{Region}' is fenced off from {_epochs.Location}: the site '{_epochs.Site}' is in " +
            (present is null ? $"an epoch behind {Epoch}, which cannot be read." : $"{present.Describe()}."),
        recommendation: $"Stop the server of region '{Region}' and what writes to it: nothing that is committed there is kept any more. If the region " +
            "was made the primary again on purpose, correct the roles in the site file, and start this command again.",
        target: _epochs.Site);
}
