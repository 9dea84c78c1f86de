namespace SmcDr.Core.Recovery;

/// <summary>How far a recovery is; each is journaled once what it names is done and durable.</summary>
public enum RecoveryPhase
{
    /// <summary>Nothing yet.</summary>
    None,

    /// <summary>The plan is journaled.</summary>
    Begun,

    /// <summary>The files lie beside the data directory, and the WAL that makes them consistent is staged; the rest comes while it is replayed.</summary>
    Fetched,

    /// <summary>The restored directory is configured for recovery.</summary>
    Configured,

    /// <summary>The previous directories lie aside, the restored ones in their places.</summary>
    Moved,

    /// <summary>Replay is over, the server is promoted, checked, and stopped again.</summary>
    Recovered,

    /// <summary>What served the recovery alone is removed.</summary>
    Cleaned,

    /// <summary>All is done.</summary>
    Done,
}
