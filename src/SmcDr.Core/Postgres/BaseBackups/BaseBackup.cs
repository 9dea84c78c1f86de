using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Takes base backups over ordinary connections.</summary>
public static class BaseBackup
{
    /// <summary>Takes a base backup.</summary>
    public static Task<BackupInfo> RunAsync(
        PostgresConnector connector,
        Repository repository,
        BaseBackupOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken) => throw new NotSupportedException();
}
