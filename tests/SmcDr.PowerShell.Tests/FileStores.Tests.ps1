#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# A directory is backed up, changed, and put back: the blocks below follow each other.

BeforeDiscovery {
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
    if ($cannot) {
        Write-Warning 'The cmdlets of file stores are not tested: they work on 64-bit Linux only.'
    }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    # Not in TestDrive, from which each block's files are removed at its end.
    $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-test-').FullName
    $config = New-Item -ItemType Directory -Path (Join-Path $root 'config' 'trading') -Force | Split-Path -Parent
    $logs = (New-Item -ItemType Directory -Path (Join-Path $root 'logs')).FullName
    Set-Content -LiteralPath (Join-Path $config 'main.yaml') -Value 'limit: 100' -NoNewline
    Set-Content -LiteralPath (Join-Path $config 'trading' 'pairs.txt') -Value 'EURUSD' -NoNewline
    Set-Content -LiteralPath (Join-Path $config 'noise.tmp') -Value 'noise'
    Set-Content -LiteralPath (Join-Path $logs 'today.log') -Value 'started'
    $site = Join-Path $root 'files.yaml'
    Set-Content -LiteralPath $site -Value @"
name: pester-files
repository: { location: "file://$(Join-Path $root 'repository')" }
regions: { here: { role: primary } }
fileStores:
  - { name: config, path: "$config", exclude: [ "*.tmp" ] }
  - { name: logs, path: "$logs" }
"@
    Set-SmcSite $site
}

AfterAll {
    Remove-Item -LiteralPath $root -Recurse -Force
}

Describe 'Backup-SmcFileStore' -Skip:$cannot {
    It 'changes nothing with -WhatIf' {
        Backup-SmcFileStore -WhatIf | Should -BeNullOrEmpty
        Join-Path $root 'repository' | Should -Not -Exist
    }

    It 'refuses a name that the site does not have, and says which it has' {
        (Assert-SmcError SmcArgumentInvalid { Backup-SmcFileStore nosuch }).Exception.Message | Should -BeLike "*'nosuch'*"
    }

    It 'backs up all of them, without what the site file and -Exclude leave out' {
        $backups = Backup-SmcFileStore -Exclude 'trading' -Label first
        $backups.Name | Should -Be 'config', 'logs'
        $backups.State | Should -Be 'Complete', 'Complete'
        $backups.FileCount | Should -Be 1, 1
        $backups.Label | Should -Be 'first', 'first'
    }

    It 'makes the next one incremental, and a full one with -Full' {
        $next = 'config' | Backup-SmcFileStore
        $next.Kind | Should -Be 'Incremental'
        $next.FileCount | Should -Be 2
        $next.StoredBytes | Should -BeLessThan 100
        (Backup-SmcFileStore config -Full).Kind | Should -Be 'Full'
    }

    It 'goes on with the others where one fails, but not where it is the only one' {
        Rename-Item -LiteralPath $config -NewName 'moved'
        try {
            $backups = Backup-SmcFileStore -ErrorVariable failures -ErrorAction SilentlyContinue
            $null = Assert-SmcError SmcArgumentInvalid { Backup-SmcFileStore config }
        }
        finally {
            Rename-Item -LiteralPath (Join-Path $root 'moved') -NewName 'config'
        }

        $backups.Name | Should -Be 'logs'
        $failures.TargetObject | Should -Be 'config'
    }

    It 'is listed by name' {
        Get-SmcBackup -Component FileStore | Where-Object Name -EQ logs | Should -HaveCount 2
        (Get-SmcBackup -Component FileStore | Out-String -Width 120) | Should -BeLike '*FileStore config in file://*'
    }

    It 'completes names of file stores' {
        (Get-Completion 'Backup-SmcFileStore co').CompletionText | Should -Be 'config'
        (Get-Completion 'Restore-SmcFileStore ').CompletionText | Should -Contain 'logs'
    }
}

Describe 'Restore-SmcFileStore' -Skip:$cannot {
    It 'says what it would do with -WhatIf, and does not even make the directory' {
        $target = Join-Path $root 'beside'
        $text = Get-HostText { Restore-SmcFileStore config -Destination $target -WhatIf }
        $text | Should -BeLike '*Restore 2 files*'
        $target | Should -Not -Exist
    }

    It 'restores beside the original, whole or in part' {
        $target = Join-Path $root 'beside'
        $result = Restore-SmcFileStore config -Destination $target -Include 'trading' -Confirm:$false
        $result | Should -BeOfType [SmcDr.FileStoreRestoreResult]
        $result.State | Should -Be 'Complete'
        $result.FileCount | Should -Be 1
        Get-Content -LiteralPath (Join-Path $target 'trading' 'pairs.txt') | Should -Be 'EURUSD'
        Join-Path $target 'main.yaml' | Should -Not -Exist
        (Restore-SmcFileStore config -Destination $target -Confirm:$false).KeptFileCount | Should -Be 1
        Get-Content -LiteralPath (Join-Path $target 'main.yaml') | Should -Be 'limit: 100'
    }

    It 'wants a name where the repository holds several' {
        Assert-SmcError SmcArgumentInvalid { Restore-SmcFileStore -Confirm:$false }
    }

    It 'refuses to replace what differs, and replaces it with -Force' {
        Set-Content -LiteralPath (Join-Path $config 'main.yaml') -Value 'limit: 1000000' -NoNewline
        Assert-SmcError SmcTargetNotEmpty { Restore-SmcFileStore config -Confirm:$false }
        Get-Content -LiteralPath (Join-Path $config 'main.yaml') | Should -Be 'limit: 1000000'
        Get-SmcBackup -Component FileStore | Where-Object Name -EQ config | Select-Object -Last 1 |
            Restore-SmcFileStore -Force -Confirm:$false | ForEach-Object FileCount | Should -Be 1
        Get-Content -LiteralPath (Join-Path $config 'main.yaml') | Should -Be 'limit: 100'
        Join-Path $config 'noise.tmp' | Should -Exist
    }

    It 'refuses several backups, the backup of another file store, and one that is not there' {
        Assert-SmcError SmcArgumentInvalid { Get-SmcBackup -Component FileStore | Restore-SmcFileStore -Confirm:$false }
        $logBackup = (Get-SmcBackup -Component FileStore | Where-Object Name -EQ logs | Select-Object -First 1).Id
        Assert-SmcError SmcBackupUnsuitable { Restore-SmcFileStore config -BackupId $logBackup -Confirm:$false }
        Assert-SmcError SmcBackupNotFound { Restore-SmcFileStore config -BackupId 20200101T000000Z-full -Confirm:$false }
    }

    It 'restores nothing where no backup comes through the pipeline' {
        $result = Get-SmcBackup -Component Redis | Restore-SmcFileStore -Confirm:$false -WarningVariable warnings -WarningAction SilentlyContinue
        $result | Should -BeNullOrEmpty
        $warnings | Should -HaveCount 1
    }
}

Describe 'Get-SmcBackupFailure' -Skip:$cannot {
    BeforeAll {
        $before = [datetimeoffset]::UtcNow
        Rename-Item -LiteralPath $config -NewName away
        $failed = Assert-SmcError SmcArgumentInvalid { Backup-SmcFileStore config -Label 'in the night' }
        Rename-Item -LiteralPath (Join-Path $root 'away') -NewName config
    }

    It 'says why a backup failed, who it was, and what to do about it' {
        $failure = Get-SmcBackupFailure FileStore -After $before
        $failure | Should -HaveCount 1
        $failure | Should -BeOfType [SmcDr.BackupFailure]
        $failure.Site, $failure.Component, $failure.ErrorId | Should -Be 'pester-files', 'FileStore', 'SmcArgumentInvalid'
        $failure.Problem | Should -Be $failed.Exception.Message
        $failure.Recommendation | Should -Be $failed.ErrorDetails.RecommendedAction
        $failure.Command | Should -BeLike 'Backup-SmcFileStore*in the night*'
        $failure.By | Should -Be "$([System.Environment]::UserName)@$([System.Environment]::MachineName)"
        $failure.Elapsed | Should -BeGreaterThan ([timespan]::Zero)
        $failure.NextBackupId | Should -BeNullOrEmpty
        $failure.NotedIn | Should -BeLike 'file://*/repository'
    }

    It 'finds those of a component, after an instant, and the newest' {
        Get-SmcBackupFailure Database, Redis | Should -BeNullOrEmpty
        Get-SmcBackupFailure -After ([datetimeoffset]::UtcNow) | Should -BeNullOrEmpty
        (Get-SmcBackupFailure -First 1).ErrorId | Should -Be 'SmcArgumentInvalid'
    }

    It 'names the backup that has made up for it' {
        $next = Backup-SmcFileStore config
        (Get-SmcBackupFailure -First 1).NextBackupId | Should -Be $next.Id
    }

    It 'notes nothing of a backup that is only shown' {
        $count = @(Get-SmcBackupFailure).Count
        Backup-SmcFileStore config -WhatIf
        @(Get-SmcBackupFailure).Count | Should -Be $count
    }
}
