#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# A database is dumped, damaged, and brought back: the blocks below follow each other.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    Import-Module (Get-SmcModulePath) -Global
    $server = Open-TestServer
    Set-SmcSite (Save-TestSite $server)
    Invoke-TestSql $server 'CREATE TABLE trades (id int PRIMARY KEY)'
    Invoke-TestSql $server 'INSERT INTO trades SELECT generate_series(1, 1000)'
}

AfterAll {
    Close-TestServer $server
}

Describe 'Backup-SmcDatabase -Method Logical' {
    It 'changes nothing with -WhatIf' {
        Backup-SmcDatabase -Method Logical -WhatIf | Should -BeNullOrEmpty
        Join-Path $server.Root 'repository' | Should -Not -Exist
    }

    It 'dumps all databases and says which' {
        $backup = Backup-SmcDatabase -Method Logical -Label nightly
        $backup.Kind | Should -Be 'Logical'
        $backup.State | Should -Be 'Complete'
        $backup.Databases | Should -Be 'postgres'
    }

    It 'refuses arguments of logical backups for a physical one, and a database that is not there' {
        Assert-SmcError SmcArgumentInvalid { Backup-SmcDatabase -Database postgres }
        Assert-SmcError SmcArgumentInvalid { Backup-SmcDatabase -Method Logical -Database nosuch }
        Assert-SmcError SmcArgumentInvalid { Backup-SmcDatabase -Method Logical -Full }
        Assert-SmcError SmcArgumentInvalid { Backup-SmcDatabase -Emergency -Full }
    }

    It 'takes an emergency backup' {
        (Backup-SmcDatabase -Emergency).Kind | Should -Be 'Emergency'
        (Get-SmcBackup -Component Database).Kind | Sort-Object | Should -Be 'Emergency', 'Logical'
    }
}

Describe 'Test-SmcBackup and Remove-SmcBackup' {
    It 'passes logical backups without any WAL' {
        $results = Test-SmcBackup -Deep
        $results.Outcome | Should -Be 'Passed', 'Passed'
        $results | ForEach-Object { $_.Wal } | Should -BeNullOrEmpty
    }

    It 'does not take a dump for the physical backup that there should be' {
        Test-SmcBackup -NewerThan 1h -Quiet | Should -BeFalse
        (Test-SmcBackup -NewerThan 1h).Problems.Message | Should -Be 'There is no complete physical backup of Database.'
    }

    It 'removes an emergency backup, but not the newest logical one' {
        $emergency, $logical = (Get-SmcBackup -Component Database | Sort-Object Kind)
        ($emergency | Remove-SmcBackup -Confirm:$false).Action | Should -Be 'Removed'
        Assert-SmcError SmcBackupProtected { $logical | Remove-SmcBackup -Confirm:$false -ErrorAction Stop }
        (Get-SmcBackup).Id | Should -Be $logical.Id
    }
}

Describe 'Restore-SmcDatabase from a logical backup' {
    BeforeAll {
        $logical = (Get-SmcBackup -Component Database | Where-Object Kind -EQ Logical).Id
    }

    It 'shows the plan with -WhatIf' {
        $text = Get-HostText { Restore-SmcDatabase $logical -TargetDatabase beside -WhatIf }
        $text | Should -BeLike "*Create the database 'beside'*1000 rows*"
        Invoke-TestSql $server "SELECT count(*) FROM pg_database WHERE datname = 'beside'" | Should -Be 0
    }

    It 'restores beside, and reports the rows of every table' {
        $result = Restore-SmcDatabase $logical -TargetDatabase beside -Confirm:$false
        $result | Should -BeOfType [SmcDr.DatabaseRestoreResult]
        $result.State | Should -Be 'Verified'
        $result.Tables.Table | Should -Be 'trades'
        $result.Tables.Rows | Should -Be 1000
    }

    It 'refuses a database that is not empty, and replaces it with -Clean' {
        Assert-SmcError SmcTargetNotEmpty { Restore-SmcDatabase $logical -TargetDatabase beside -Confirm:$false }
        (Restore-SmcDatabase $logical -TargetDatabase beside -Clean -Confirm:$false).State | Should -Be 'Verified'
    }

    It 'puts one table back' {
        Invoke-TestSql $server 'DROP TABLE trades'
        (Get-SmcBackup $logical | Restore-SmcDatabase -Table trades -Confirm:$false).RowCount | Should -Be 1000
        Invoke-TestSql $server 'SELECT count(*) FROM trades' | Should -Be 1000
    }

    It 'refuses arguments of physical backups' {
        Assert-SmcError SmcArgumentInvalid { Restore-SmcDatabase $logical -Immediate -Confirm:$false }
        Assert-SmcError SmcArgumentInvalid { Restore-SmcDatabase -Clean -Confirm:$false }
    }
}

Describe 'Invoke-SmcDatabaseRecovery' {
    It 'shows the plan with -WhatIf, and changes nothing' {
        $text = Get-HostText { Invoke-SmcDatabaseRecovery postgres -WhatIf }
        $text | Should -BeLike "*emergency backup*Rename it to 'postgres_before_*It is not dropped*"
        Invoke-TestSql $server 'SELECT count(*) FROM pg_database WHERE datname LIKE ''postgres_%''' | Should -Be 0
    }

    It 'brings lost rows back and keeps the earlier database' {
        Invoke-TestSql $server 'DELETE FROM trades WHERE id > 10'
        $result = Invoke-SmcDatabaseRecovery postgres -Confirm:$false
        $result.State | Should -Be 'Verified'
        $result.Steps.Outcome | Should -Not -Contain 'Failed'
        $result.PreviousDatabase | Should -BeLike 'postgres_before_*'
        Invoke-TestSql $server 'SELECT count(*) FROM trades' | Should -Be 1000
        (Get-SmcBackup $result.EmergencyBackupId).Kind | Should -Be 'Emergency'
    }

    It 'says where there is no backup of a database' {
        Assert-SmcError SmcBackupNotFound { Invoke-SmcDatabaseRecovery nosuch -Confirm:$false }
    }
}
