#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# One server is backed up twice; its backups are verified, protected and removed.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $server = Open-TestServer
    $site = Save-TestSite $server
    Set-SmcSite $site
    $old = Backup-SmcDatabase -Label old
    $new = Backup-SmcDatabase -Label new
}

AfterAll {
    if ($server) {
        Close-TestServer $server
    }
}

Describe 'Test-SmcBackup' {
    It 'passes sound backups, from the pipeline and by itself' {
        $results = Get-SmcBackup | Test-SmcBackup -Deep
        $results | Should -HaveCount 2
        $results | Should -BeOfType [SmcDr.BackupTestResult]
        $results.Outcome | Select-Object -Unique | Should -Be 'Passed'
        $results[0].CheckedBytes | Should -BeGreaterThan 1MB
        Test-SmcBackup -Quiet | Should -BeTrue
        Test-SmcBackup -NewerThan 1h -Quiet | Should -BeTrue
    }

    It 'fails where the newest backup is too old' {
        Test-SmcBackup -NewerThan 0s -Quiet | Should -BeFalse
        (Test-SmcBackup -NewerThan 0s).Problems.Code | Should -Contain 'SmcBackupOutdated'
    }

    It 'verifies nothing where the pipeline brings nothing' {
        Get-SmcBackup nosuch* | Test-SmcBackup -WarningVariable warnings -WarningAction SilentlyContinue | Should -BeNullOrEmpty
        $warnings | Should -Not -BeNullOrEmpty
    }
}

Describe 'Protect-SmcBackup' {
    It 'holds a backup, which is then refused, and released' {
        $held = $old | Protect-SmcBackup -Hold 'audit'
        $held | Should -BeOfType [SmcDr.ProtectionInfo]
        $held.Kind | Should -Be 'Hold'
        Assert-SmcError SmcBackupProtected { Remove-SmcBackup $old.Id -Confirm:$false -ErrorAction Stop }
        Unprotect-SmcBackup $old.Id -Confirm:$false
        (Remove-SmcBackup $old.Id -WhatIf) | Should -BeNullOrEmpty
        Get-SmcBackup $old.Id | Should -Not -BeNullOrEmpty
    }

    It 'cannot lock in a directory' {
        Assert-SmcError SmcLockUnsupported { $old | Protect-SmcBackup -For 1d -ErrorAction Stop }
    }
}

Describe 'Invoke-SmcRetention and Remove-SmcBackup' {
    It 'keeps all where the site sets no retention, and says why' {
        $plan = Invoke-SmcRetention -WhatIf | Where-Object Kind -EQ Backup
        $plan | Should -HaveCount 2
        $plan.Action | Select-Object -Unique | Should -Be 'Keep'
    }

    It 'removes a backup, but not the newest' {
        $removed = $old | Remove-SmcBackup -Confirm:$false
        $removed.Action | Should -Be 'Removed'
        $removed.FreedBytes | Should -BeGreaterThan 0
        (Get-SmcBackup).Id | Should -Be $new.Id
        Assert-SmcError SmcBackupProtected { $new | Remove-SmcBackup -Confirm:$false -ErrorAction Stop }
        Test-SmcBackup -Deep -Quiet | Should -BeTrue
    }
}
