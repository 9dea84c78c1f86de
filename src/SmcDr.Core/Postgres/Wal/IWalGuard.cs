namespace SmcDr.Core.Postgres.Wal;

/// <summary>Says of each WAL object whether it may be stored, and whether it may then be taken for stored.</summary>
internal interface IWalGuard
{
    /// <summary>What it throws keeps the object from being stored.</summary>
    Task BeforeStoringAsync(CancellationToken cancellationToken);

    /// <summary>What it throws keeps the object from being acknowledged.</summary>
    Task AfterStoringAsync(CancellationToken cancellationToken);
}
