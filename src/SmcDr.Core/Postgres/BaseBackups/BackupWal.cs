using Npgsql;

namespace SmcDr.Core.Postgres.BaseBackups;

internal static class BackupWal
{
    public static Task<IBackupWal> OpenAsync(BackupWalRequest request, NpgsqlConnection session, CancellationToken cancellationToken) =>
        throw new NotSupportedException();
}
