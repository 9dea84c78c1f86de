using SmcDr.Core.Leases;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Lets WAL be stored as long as its region's epoch lasts.</summary>
internal sealed class FenceGuard(Fence fence) : IWalGuard
{
    /// <inheritdoc/>
    public Task BeforeStoringAsync(CancellationToken cancellationToken) => fence.CheckAsync(cancellationToken);

    /// <inheritdoc/>
    public Task AfterStoringAsync(CancellationToken cancellationToken) => fence.CheckAsync(cancellationToken);
}
