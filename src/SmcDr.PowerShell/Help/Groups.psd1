# The index of the pages of cmdlets: what an operator wants to do, and with what. Each cmdlet stands once.
@{
    Groups = @(
        @{
            Title   = 'Describe and check a site'
            Text    = 'A site file says what is protected and where backups go. Begin with `Test-SmcSite`: each thing that stands in the way comes with what to do about it.'
            Cmdlets = @('Set-SmcSite', 'Get-SmcSite', 'Test-SmcSite', 'Test-SmcSystem', 'Enable-SmcPointInTimeRecovery')
        }
        @{
            Title   = 'Back up'
            Text    = 'Database, Redis, configuration and directories, each by itself or all beside each other; and the write-ahead log, which makes seconds out of hours.'
            Cmdlets = @(
                'Backup-SmcDatabase', 'Backup-SmcRedis', 'Backup-SmcConfiguration', 'Backup-SmcFileStore', 'Backup-SmcSystem', 'Start-SmcWalStream', 'Import-SmcWal',
                'Register-SmcSchedule', 'Unregister-SmcSchedule'
            )
        }
        @{
            Title   = 'See what there is, and whether it is right'
            Text    = 'What was backed up, which instants can be recovered, and whether every byte is still what was written.'
            Cmdlets = @('Get-SmcBackup', 'Get-SmcBackupFailure', 'Get-SmcWalArchive', 'Get-SmcRecoveryWindow', 'Test-SmcBackup', 'Compare-SmcConfiguration')
        }
        @{
            Title   = 'Prove that it comes back'
            Text    = 'Recoveries to servers that are thrown away, and what they took beside what was promised.'
            Cmdlets = @('Test-SmcRecovery', 'Get-SmcRecoveryTest', 'Invoke-SmcDrill', 'Measure-SmcObjective')
        }
        @{
            Title   = 'Get data back'
            Text    = 'Find the instant, look at the plan with `-WhatIf`, recover. What is there is moved aside, and an interrupted recovery goes on by the same command.'
            Cmdlets = @(
                'Find-SmcTransaction', 'Invoke-SmcPointInTimeRecovery', 'Restore-SmcDatabase', 'Invoke-SmcDatabaseRecovery', 'Export-SmcTable', 'Restore-SmcRedis',
                'Restore-SmcConfiguration', 'Restore-SmcFileStore', 'Restore-SmcSystem', 'Get-SmcWorkload', 'Suspend-SmcWorkload', 'Resume-SmcWorkload'
            )
        }
        @{
            Title   = 'Go on with a plan, or take it back'
            Text    = 'What changes a site as a whole is a plan with a journal in the repository: it can be looked at, gone on with and taken back from any host.'
            Cmdlets = @('Get-SmcPlan', 'Resume-SmcPlan', 'Undo-SmcPlan', 'Stop-SmcPlan')
        }
        @{
            Title   = 'Lead the site to another region'
            Text    = 'A standby from the repository, failover, failback, and the DNS record that clients follow.'
            Cmdlets = @('Get-SmcRegion', 'Initialize-SmcRegionReplica', 'Start-SmcRegionFailover', 'Start-SmcRegionFailback', 'Get-SmcDnsRecord', 'Set-SmcDnsRecord')
        }
        @{
            Title   = 'Keep backups, and remove them by rule'
            Text    = 'Retention, holds and locks, and copies in other places.'
            Cmdlets = @('Invoke-SmcRetention', 'Remove-SmcBackup', 'Protect-SmcBackup', 'Unprotect-SmcBackup', 'Copy-SmcBackup')
        }
        @{
            Title   = 'Decide who can read backups'
            Text    = 'Keys and recipients of an encrypted repository.'
            Cmdlets = @('New-SmcRepositoryKey', 'Get-SmcRepositoryKey', 'Remove-SmcRepositoryKey', 'Update-SmcRepositoryKey')
        }
        @{
            Title   = 'Handle an incident'
            Text    = 'What to do in each scenario, who is told, and what was done when.'
            Cmdlets = @(
                'Get-SmcRunbook', 'Invoke-SmcRunbook', 'Start-SmcIncident', 'Add-SmcIncidentNote', 'Get-SmcIncident', 'Stop-SmcIncident', 'Export-SmcReport', 'Send-SmcAlert',
                'Send-SmcHeartbeat'
            )
        }
    )
}
