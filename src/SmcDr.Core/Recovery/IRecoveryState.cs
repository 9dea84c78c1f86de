namespace SmcDr.Core.Recovery;

/// <summary>
/// The folder beside a data directory that holds all that a recovery needs to be finished by another run, whenever the first one was killed: the
/// journal, what is restored but not yet in its place, the staged WAL, and the server's log. Whoever has it open has it alone.
/// </summary>
internal interface IRecoveryState
{
    /// <summary>The folder.</summary>
    string Root { get; }

    /// <summary>Where the data directory is restored to, before it gets to its place.</summary>
    string NewDirectory { get; }

    /// <summary>The staged WAL.</summary>
    string StagingDirectory { get; }

    /// <summary>What the server may write to: its log and its socket.</summary>
    string ServerDirectory { get; }

    /// <summary>What the journal says.</summary>
    RecoveryProgress Progress { get; }

    /// <summary>Makes a line durable, and only then believes it.</summary>
    Task AppendAsync(RecoveryJournalEntry entry, CancellationToken cancellationToken);

    /// <summary>Forgets an earlier recovery: its journal goes first, what only it needed after that.</summary>
    Task ResetAsync(CancellationToken cancellationToken);

    /// <summary>Makes the folders that fetching and the server need.</summary>
    Task CreateFoldersAsync(CancellationToken cancellationToken);
}
