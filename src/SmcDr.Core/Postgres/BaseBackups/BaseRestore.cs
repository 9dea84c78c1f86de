using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Writes the files of a base backup into a directory.</summary>
public static class BaseRestore
{
    /// <summary>Restores the files of a base backup.</summary>
    public static Task<BaseRestoreResult> RestoreFilesAsync(
        BackupReader reader,
        Manifest manifest,
        BaseRestoreTarget target,
        IOperationObserver observer,
        CancellationToken cancellationToken) => throw new NotSupportedException();
}
