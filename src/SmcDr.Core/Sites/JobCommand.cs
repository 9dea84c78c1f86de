namespace SmcDr.Core.Sites;

/// <summary>What can run in a pod of its own.</summary>
public enum JobCommand
{
    /// <summary><c>smcdr backup database</c>.</summary>
    BackupDatabase,

    /// <summary><c>smcdr backup redis</c>.</summary>
    BackupRedis,

    /// <summary><c>smcdr backup configuration</c>.</summary>
    BackupConfiguration,

    /// <summary><c>smcdr test backup</c>.</summary>
    TestBackup,

    /// <summary><c>smcdr test recovery</c>.</summary>
    TestRecovery,

    /// <summary><c>smcdr wal stream</c>.</summary>
    WalStream,
}
