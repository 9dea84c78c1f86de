namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What a control file says of its cluster; the numbers are PostgreSQL's (<c>DBState</c> in catalog/pg_control.h).</summary>
public enum DatabaseState
{
    /// <summary>Starting for the first time.</summary>
    StartingUp = 0,

    /// <summary>Shut down cleanly.</summary>
    ShutDown = 1,

    /// <summary>Shut down cleanly while it was a standby or in recovery.</summary>
    ShutDownInRecovery = 2,

    /// <summary>Shutting down.</summary>
    ShuttingDown = 3,

    /// <summary>Recovering from a crash.</summary>
    InCrashRecovery = 4,

    /// <summary>Replaying an archive, or following a primary.</summary>
    InArchiveRecovery = 5,

    /// <summary>Running; or it crashed while it ran.</summary>
    InProduction = 6,
}
