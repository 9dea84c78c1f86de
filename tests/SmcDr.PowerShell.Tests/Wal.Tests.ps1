#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# A server loses a table; its WAL is imported from a directory and searched: the blocks below follow each other.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $server = Open-TestServer
    Set-SmcSite (Save-TestSite $server -Name wal)
    $null = Invoke-TestSql $server 'create table trades as select i as id from generate_series(1, 2000) i'
    $null = Invoke-TestSql $server 'create table lost (id int)'
    $null = Invoke-TestSql $server 'checkpoint'
    $null = Invoke-TestSql $server 'drop table lost'
    $null = Invoke-TestSql $server 'delete from trades'
    $null = Invoke-TestSql $server 'select pg_switch_wal()'
    $archive = (New-Item -ItemType Directory -Path (Join-Path $TestDrive 'archive')).FullName
    $current = "$(Invoke-TestSql $server 'select pg_walfile_name(pg_current_wal_insert_lsn())')".Trim()
    $directory = "$(Invoke-TestSql $server 'show data_directory')".Trim()
    Get-ChildItem -LiteralPath (Join-Path $directory 'pg_wal') -File |
        Where-Object { $_.Name -match '^[0-9A-F]{24}$' -and $_.Name -lt $current } |
        Copy-Item -Destination $archive
}

AfterAll {
    if ($server) {
        Close-TestServer $server
    }
}

Describe 'Import-SmcWal' {
    It 'says what there is with -WhatIf, and stores nothing' {
        Get-HostText { Import-SmcWal $archive -WhatIf } | Should -BeLike '*WAL segments*'
        Join-Path $server.Root 'repository' 'wal' | Should -Not -Exist
    }

    It 'stores the segments, and finds them there the second time' {
        $first = Import-SmcWal $archive
        $first | Should -BeOfType [SmcDr.WalImportResult]
        $first.State | Should -Be 'Complete'
        $first.ImportedCount | Should -BeGreaterThan 0
        $second = Get-Item -LiteralPath $archive | Import-SmcWal
        $second.ImportedCount | Should -Be 0
        $second.PresentCount | Should -Be $first.ImportedCount
    }

    It 'refuses what is not right, warns, and says so in the result' {
        Set-Content -LiteralPath (Join-Path $archive '0000000100000000000000EE') -Value 'cut off'
        $result = Import-SmcWal $archive -WarningVariable warnings -WarningAction SilentlyContinue
        $result.State | Should -Be 'Partial'
        $result.Refused.ErrorId | Should -Be 'SmcWalInvalid'
        $warnings | Should -HaveCount 1
    }

    It 'refuses a directory without write-ahead log' {
        $empty = (New-Item -ItemType Directory -Path (Join-Path $TestDrive 'empty')).FullName
        Assert-SmcError SmcArgumentInvalid { Import-SmcWal $empty }
    }
}

Describe 'Find-SmcTransaction' {
    It 'finds the drop by its name, and the position before it' {
        $found = Find-SmcTransaction -From -1h -Kind Drop, Truncate
        $found | Should -BeOfType [SmcDr.TransactionInfo]
        $found.Kind | Should -Be 'Drop'
        $found.RelationNames | Should -BeLike '*lost'
        $found.RecoveryLsn | Should -Be $found.CommitLsn
    }

    It 'finds the mass deletion, with the name that the server knows' {
        $found = Find-SmcTransaction -Relation public.trades -Kind Delete
        $found.DeletedRows | Should -Be 2000
        $found.Relations[0].Name | Should -Be 'public.trades'
        Find-SmcTransaction -Relation public.trades -Kind Delete -MinimumRows 2001 | Should -BeNullOrEmpty
    }

    It 'needs no server' {
        (Find-SmcTransaction -Offline).Kind | Should -Be 'Drop', 'Delete'
    }

    It 'refuses an instant without a zone' {
        Assert-SmcError SmcTargetTimeAmbiguous { Find-SmcTransaction -From '2026-11-05 10:00' }
    }
}

Describe 'Enable-SmcPointInTimeRecovery' {
    BeforeAll {
        $password = [securestring]::new()
        'of the role'.ToCharArray() | ForEach-Object { $password.AppendChar($_) }
        $role = [pscredential]::new('smcdr_role', $password)
    }

    It 'shows each statement with -WhatIf, and changes nothing' {
        $text = Get-HostText { Enable-SmcPointInTimeRecovery -RoleCredential $role -WhatIf }
        $text | Should -BeLike '*CREATE ROLE "smcdr_role"*GRANT pg_read_all_settings*GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_start*'
        $text | Should -Not -BeLike '*of the role*'
        "$(Invoke-TestSql $server "select count(*) from pg_roles where rolname = 'smcdr_role'")".Trim() | Should -Be '0'
    }

    It 'makes the role, and finds all right the second time' {
        $first = Enable-SmcPointInTimeRecovery -RoleCredential $role
        $first | Should -BeOfType [SmcDr.PreparationItem]
        ($first | Where-Object Item -EQ 'Role').State | Should -Be 'Changed'
        ($first | Where-Object Item -EQ 'ReplicationConnection').State | Should -Be 'Right'
        Enable-SmcPointInTimeRecovery -RoleCredential $role | Where-Object State -NotIn 'Right', 'Advice' | Should -BeNullOrEmpty
    }

    It 'refuses who is no superuser' {
        Assert-SmcError SmcPrivilegeMissing { Enable-SmcPointInTimeRecovery -Credential $role }
    }
}
