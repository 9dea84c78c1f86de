using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What is needed to bring a backup's WAL into the repository.</summary>
internal sealed record BackupWalRequest(
    PostgresConnector Connector,
    Repository Repository,
    ulong SystemId,
    bool CanReplicate,
    Lsn StartLsn,
    bool IsStandby,
    BaseBackupOptions Options,
    IOperationObserver Observer);

/// <summary>Chooses and begins a way of bringing a backup's WAL into the repository.</summary>
internal delegate Task<IBackupWal> BackupWalFactory(
    BackupWalRequest request, NpgsqlConnection session, CancellationToken cancellationToken);
