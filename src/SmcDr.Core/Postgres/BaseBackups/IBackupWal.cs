namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Brings the WAL that a base backup needs into the repository, beside the copy of the files.</summary>
internal interface IBackupWal : IAsyncDisposable
{
    /// <summary>Ends, with the reason, only where the WAL will not come any more.</summary>
    Task Running { get; }

    /// <summary>Waits until all WAL between two positions is durable in the repository.</summary>
    Task WaitForAsync(uint timeline, Lsn from, Lsn to, CancellationToken cancellationToken);

    /// <summary>How far it is, for the message where it takes too long.</summary>
    string Describe();
}
