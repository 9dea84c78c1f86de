@{
    RootModule           = 'SmcDr.psm1'
    ModuleVersion        = '0.1.0'
    GUID                 = '704f2b67-a29d-44b3-9e28-c5a11d2f125a'
    Author               = 'SmcDr contributors'
    CompanyName          = 'SmcDr contributors'
    Copyright            = '(c) SmcDr contributors. MIT License.'
    Description          = 'Backup and disaster recovery of a PostgreSQL system: agentless base backups, WAL streamed within a second, point-in-time recovery with a preflight, and drills that prove and time it.'
    CompatiblePSEditions = @('Core')
    PowerShellVersion    = '7.6'

    FormatsToProcess     = @('SmcDr.Format.ps1xml')
    TypesToProcess       = @('SmcDr.Types.ps1xml')

    # Explicit, because a wildcard makes PowerShell import the module to find out what it exports.
    CmdletsToExport      = @(
        'Add-SmcIncidentNote'
        'Backup-SmcConfiguration'
        'Backup-SmcDatabase'
        'Backup-SmcFileStore'
        'Backup-SmcRedis'
        'Backup-SmcSystem'
        'Compare-SmcConfiguration'
        'Copy-SmcBackup'
        'Enable-SmcPointInTimeRecovery'
        'Export-SmcReport'
        'Export-SmcTable'
        'Find-SmcTransaction'
        'Get-SmcBackup'
        'Get-SmcBackupFailure'
        'Get-SmcDnsRecord'
        'Get-SmcIncident'
        'Get-SmcPlan'
        'Get-SmcRecoveryTest'
        'Get-SmcRecoveryWindow'
        'Get-SmcRegion'
        'Get-SmcRepositoryKey'
        'Get-SmcRunbook'
        'Get-SmcSite'
        'Get-SmcWalArchive'
        'Get-SmcWorkload'
        'Import-SmcWal'
        'Initialize-SmcRegionReplica'
        'Invoke-SmcDatabaseRecovery'
        'Invoke-SmcDrill'
        'Invoke-SmcPointInTimeRecovery'
        'Invoke-SmcRetention'
        'Invoke-SmcRunbook'
        'Measure-SmcObjective'
        'New-SmcRepositoryKey'
        'Protect-SmcBackup'
        'Register-SmcSchedule'
        'Remove-SmcBackup'
        'Remove-SmcRepositoryKey'
        'Restore-SmcConfiguration'
        'Restore-SmcDatabase'
        'Restore-SmcFileStore'
        'Restore-SmcRedis'
        'Restore-SmcSystem'
        'Resume-SmcPlan'
        'Resume-SmcWorkload'
        'Send-SmcAlert'
        'Send-SmcHeartbeat'
        'Set-SmcDnsRecord'
        'Set-SmcSite'
        'Start-SmcIncident'
        'Start-SmcRegionFailback'
        'Start-SmcRegionFailover'
        'Start-SmcWalStream'
        'Stop-SmcIncident'
        'Stop-SmcPlan'
        'Suspend-SmcWorkload'
        'Test-SmcBackup'
        'Test-SmcRecovery'
        'Test-SmcSite'
        'Test-SmcSystem'
        'Undo-SmcPlan'
        'Unprotect-SmcBackup'
        'Unregister-SmcSchedule'
        'Update-SmcRepositoryKey'
    )
    FunctionsToExport    = @()
    AliasesToExport      = @()
    VariablesToExport    = @()

    PrivateData          = @{
        PSData = @{
            Tags         = @(
                'Backup', 'Restore', 'DisasterRecovery', 'PointInTimeRecovery', 'PITR', 'PostgreSQL', 'WAL', 'S3',
                'PSEdition_Core', 'Windows', 'Linux', 'MacOS'
            )
            LicenseUri   = 'https://opensource.org/license/mit'
            ReleaseNotes = 'First release: site files, physical and logical backups of PostgreSQL 15 to 18, backups of Redis, WAL streaming, recovery windows, restore, point-in-time recovery and drills.'
        }
    }
}
