namespace SmcDr;

/// <summary>
/// Every way in which SmcDr fails, one member per cause that an operator would handle differently.
/// <see cref="SmcErrors"/> says what each means to PowerShell, to the command line and to the operator.
/// </summary>
/// <remarks>Names are stable for life: scripts branch on the error id, which is <c>Smc</c> and the member's name.</remarks>
public enum SmcErrorCode
{
    /// <summary>A defect in SmcDr itself.</summary>
    InternalError,

    // Site file and arguments
    /// <summary>The site file is not there.</summary>
    SiteNotFound,
    /// <summary>The site file is not valid.</summary>
    SiteInvalid,
    /// <summary>No site is set and none was given.</summary>
    SiteNotSet,
    /// <summary>A secret reference cannot be resolved.</summary>
    SecretUnavailable,
    /// <summary>An argument is not acceptable.</summary>
    ArgumentInvalid,
    /// <summary>A target time has no time zone.</summary>
    TargetTimeAmbiguous,
    /// <summary>A target is outside every recovery window.</summary>
    TargetOutsideWindow,
    /// <summary>No commit follows the target time in the archive, so PostgreSQL would not stop there.</summary>
    TargetNotReached,

    // Object store and repository
    /// <summary>The object store cannot be reached or keeps failing.</summary>
    StorageUnavailable,
    /// <summary>The object store refuses the credentials or the operation.</summary>
    StorageAccessDenied,
    /// <summary>The object store has no room.</summary>
    StorageFull,
    /// <summary>An object is missing.</summary>
    ObjectNotFound,
    /// <summary>An object exists and would have been overwritten.</summary>
    ObjectExists,
    /// <summary>A read ended before the object did.</summary>
    ObjectTruncated,
    /// <summary>The location of a repository is not valid.</summary>
    LocationInvalid,
    /// <summary>There is no repository at the location.</summary>
    RepositoryNotFound,
    /// <summary>The repository was written by a newer SmcDr, or is none.</summary>
    RepositoryFormatUnknown,
    /// <summary>Stored bytes do not match what the manifest states.</summary>
    ChecksumMismatch,
    /// <summary>A manifest or marker cannot be read.</summary>
    ManifestInvalid,
    /// <summary>A backup does not exist.</summary>
    BackupNotFound,
    /// <summary>A backup was never completed.</summary>
    BackupIncomplete,
    /// <summary>A backup cannot be used for what was asked.</summary>
    BackupUnsuitable,
    /// <summary>A backup was removed while something relied on it.</summary>
    BackupRemoved,
    /// <summary>A hold or a lock keeps a backup from being removed, or it is the newest.</summary>
    BackupProtected,
    /// <summary>The object store cannot lock objects.</summary>
    LockUnsupported,
    /// <summary>A verification found a backup that cannot be relied on.</summary>
    BackupTestFailed,
    /// <summary>The newest backup is older than it may be.</summary>
    BackupOutdated,

    // Encryption
    /// <summary>A repository or an object is encrypted with a key that was not given.</summary>
    KeyMissing,
    /// <summary>The key that was given opens none of the repository's key envelopes.</summary>
    KeyWrong,
    /// <summary>A key file or passphrase cannot be used as such.</summary>
    KeyInvalid,
    /// <summary>There is no recipient of that name.</summary>
    KeyNotFound,
    /// <summary>A recipient of that name exists.</summary>
    KeyExists,
    /// <summary>Without this recipient the repository could not be opened any more.</summary>
    KeyNeeded,
    /// <summary>A key is given, and the repository is not encrypted.</summary>
    RepositoryNotEncrypted,
    /// <summary>An encrypted object lies in the place of another one.</summary>
    ObjectSwapped,
    /// <summary>The frames of an encrypted object are not in their order.</summary>
    FramesReordered,
    /// <summary>Something follows the end of an encrypted object.</summary>
    ObjectExtended,
    /// <summary>Another repository is where a copy of this one should be.</summary>
    RepositoryMismatch,
    /// <summary>A copy of a backup lacks something.</summary>
    CopyIncomplete,

    // PostgreSQL
    /// <summary>The database server cannot be reached.</summary>
    ServerUnavailable,
    /// <summary>The database server refuses the user or the password.</summary>
    AuthenticationFailed,
    /// <summary>The database user lacks a privilege.</summary>
    PrivilegeMissing,
    /// <summary>A server setting stands in the way.</summary>
    SettingUnsuitable,
    /// <summary>The server's version is not supported.</summary>
    VersionUnsupported,
    /// <summary>The server is another one than the repository knows.</summary>
    SystemIdMismatch,
    /// <summary>The backup session broke.</summary>
    BackupInterrupted,
    /// <summary>A WAL segment is not what its name says.</summary>
    WalInvalid,
    /// <summary>A WAL segment is archived already with other content.</summary>
    WalDuplicate,
    /// <summary>Write-ahead log is missing between two points.</summary>
    WalGap,
    /// <summary>Write-ahead log did not arrive in time.</summary>
    WalTimeout,
    /// <summary>A replication slot is used by somebody else, or none that can be used.</summary>
    SlotUnavailable,
    /// <summary>Timelines do not fit.</summary>
    TimelineMismatch,
    /// <summary>The server has let go of WAL that a replication slot should have kept.</summary>
    SlotLost,
    /// <summary>Another stream brings the same WAL to the same repository.</summary>
    StreamRunning,
    /// <summary>Another stream has taken over.</summary>
    StreamTaken,

    // Redis
    /// <summary>A Redis dump (RDB) is damaged, or is none.</summary>
    RdbInvalid,
    /// <summary>A Redis dump (RDB) holds what SmcDr cannot read.</summary>
    RdbUnsupported,
    /// <summary>A restore of Redis broke off: the server has a part of the data.</summary>
    RestoreInterrupted,
    /// <summary>A Redis server has not enough memory for what is restored.</summary>
    TargetMemoryInsufficient,
    /// <summary>A Redis server is older than the one that a backup is from, and does not know what is in it.</summary>
    RdbNewer,
    /// <summary>A Redis server is a replica, and only its master takes data.</summary>
    TargetIsReplica,
    /// <summary>A server does not stop.</summary>
    ServerStopFailed,
    /// <summary>A server was started again by what manages it, while it was to be stopped.</summary>
    ServerRestarted,
    /// <summary>A restore failed, and what the server had before is back in its place.</summary>
    RestoreUndone,
    /// <summary>A restore was interrupted, and is neither finished nor taken back.</summary>
    RestoreUnfinished,

    // Kubernetes
    /// <summary>There is no kubeconfig, or it is not valid, or does not name what was asked for.</summary>
    KubeconfigInvalid,
    /// <summary>The cluster's API server cannot be reached or keeps failing.</summary>
    ClusterUnavailable,
    /// <summary>The cluster does not accept the credentials.</summary>
    ClusterAuthenticationFailed,
    /// <summary>The user may not do this in the cluster.</summary>
    ClusterForbidden,
    /// <summary>An object, a kind or a namespace is not in the cluster.</summary>
    ResourceNotFound,
    /// <summary>An object is in the cluster already, or was changed by somebody else meanwhile.</summary>
    ResourceConflict,
    /// <summary>The cluster does not accept an object as it is.</summary>
    ResourceInvalid,
    /// <summary>A quota of the namespace is used up.</summary>
    QuotaExceeded,
    /// <summary>An admission check of the cluster refused the object, or could not be asked.</summary>
    AdmissionRefused,
    /// <summary>A command in a pod failed.</summary>
    PodCommandFailed,
    /// <summary>A connection into a pod ended before its end was told.</summary>
    PodStreamBroken,
    /// <summary>What arrived in, or came out of, a pod is not what was sent.</summary>
    PodTransferFailed,
    /// <summary>Somebody else scales a workload back that was suspended.</summary>
    WorkloadScaledBack,
    /// <summary>A pod does not start, or does not become ready.</summary>
    PodNotStarted,
    /// <summary>A command in a pod of its own ended, or went, without saying what it came to.</summary>
    JobFailed,
    /// <summary>A pod that should be gone uses the volume.</summary>
    VolumeInUse,
    /// <summary>A workload is not built so that what was asked for can be done with it.</summary>
    WorkloadUnsuitable,
    /// <summary>Secrets would go where they can be read.</summary>
    SecretsUnprotected,
    /// <summary>A namespace that is being deleted does not go.</summary>
    NamespaceTerminating,
    /// <summary>An object has fields that cannot be changed, and differs in them.</summary>
    ReplaceNeeded,
    /// <summary>Objects of a configuration were not restored.</summary>
    ConfigurationIncomplete,
    /// <summary>A configuration is not as it was backed up.</summary>
    ConfigurationDrifted,

    // DNS
    /// <summary>Route 53 cannot be reached or keeps failing.</summary>
    DnsUnavailable,
    /// <summary>Route 53 refuses the credentials or the operation.</summary>
    DnsAccessDenied,
    /// <summary>A zone or a record is not there, or not of a kind that allows what was asked.</summary>
    DnsRecordUnsuitable,
    /// <summary>A record is changed, and the zone's servers do not answer so.</summary>
    DnsNotServed,

    // Restore and recovery
    /// <summary>The target directory holds data.</summary>
    TargetNotEmpty,
    /// <summary>A server runs in the target directory.</summary>
    TargetInUse,
    /// <summary>The target directory cannot be used.</summary>
    TargetUnsuitable,
    /// <summary>There is not enough room on a disk.</summary>
    DiskSpaceInsufficient,
    /// <summary>A program that is needed is missing.</summary>
    ProgramNotFound,
    /// <summary>The restored server did not start.</summary>
    ServerStartFailed,
    /// <summary>Recovery ended with an error.</summary>
    RecoveryFailed,
    /// <summary>A check after recovery failed.</summary>
    VerificationFailed,
    /// <summary>Another operation is at work on the same thing.</summary>
    OperationInProgress,
    /// <summary>Something took longer than it was given.</summary>
    OperationTimedOut,
    /// <summary>The operation was stopped on request.</summary>
    OperationStopped,
    /// <summary>A drill found lost or unexpected data.</summary>
    DrillFailed,

    // Plans and regions
    /// <summary>The lease of a site was taken by somebody else, or could not be renewed.</summary>
    LeaseLost,
    /// <summary>The region that this comes from does not lead its site any more.</summary>
    Fenced,
    /// <summary>A region cannot take over as it is.</summary>
    RegionUnsuitable,
    /// <summary>A primary that is to be left gives signs of life.</summary>
    PrimaryAlive,
    /// <summary>A plan of the site was not finished, and stands in the way of another.</summary>
    PlanUnfinished,
    /// <summary>A plan in the journal cannot be gone on with, or not be taken back, as it was asked.</summary>
    PlanUnsuitable,

    /// <summary>Of a whole system not every part was backed up, or not wholly.</summary>
    SystemBackupPartial,

    // Alerts and objectives
    /// <summary>An alert or a sign of life did not reach everybody whom the site names.</summary>
    AlertNotDelivered,
    /// <summary>An objective of the site does not hold, or nobody can say whether it does.</summary>
    ObjectiveMissed,

    // Schedules and incidents
    /// <summary>A schedule cannot be registered where it was to be.</summary>
    ScheduleUnsuitable,
    /// <summary>There is no such incident, or none that is open, or one is already.</summary>
    IncidentUnsuitable,
}
