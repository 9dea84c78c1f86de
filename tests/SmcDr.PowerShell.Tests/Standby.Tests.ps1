#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# A primary and a standby that streams from it: the blocks below follow each other.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $server = Open-TestServer
    $null = Invoke-TestSql $server 'create table trades as select i as id from generate_series(1, 2000) i'
    $standby = Open-TestStandby $server
    $site = Save-TestSite $server -Name standby
}

AfterAll {
    foreach ($opened in $standby, $server) {
        if ($opened) {
            Close-TestServer $opened
        }
    }
}

Describe 'Backup-SmcDatabase -FromStandby' {
    It 'says what is missing where the site names no standby' {
        Set-SmcSite $site
        Assert-SmcError SmcSiteInvalid { Backup-SmcDatabase -FromStandby }
    }

    It 'is for physical backups' {
        Assert-SmcError SmcArgumentInvalid { Backup-SmcDatabase -FromStandby -Method Logical }
    }

    It 'reads from the standby that the site names, and tells of it' {
        Add-Content -LiteralPath $site -Value "      standby: `"Host=127.0.0.1;Port=$($standby.Port)`""
        Set-SmcSite $site
        $backup = Backup-SmcDatabase -FromStandby -Verbose -Confirm:$false 4>&1 | Tee-Object -Variable all | Where-Object { $_ -is [SmcDr.BackupInfo] }
        $backup.State | Should -Be 'Complete'
        "$($all | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] })" | Should -BeLike '*is a standby; the backup is taken from it*'
    }

    It 'gives a backup that recovers to a primary of its own, with what the standby had' {
        $target = Join-Path $server.Root 'recovered'
        $result = Restore-SmcDatabase -Immediate -DataDirectory $target -AsSideInstance -Confirm:$false
        $result.ServerRunning | Should -BeTrue
        $count = Invoke-PostgresProgram psql @('-X', '-A', '-t', '-h', $target, '-p', $result.Port, '-U', 'postgres', '-d', 'postgres', '-c',
            'select count(*)::text || pg_is_in_recovery()::text from trades')
        "$count".Trim() | Should -Be '2000false'
    }

    It 'goes on with the server that the standby becomes when it is promoted' {
        $null = Invoke-TestSql $standby 'select pg_promote()'
        $all = Backup-SmcDatabase -FromStandby -Verbose 4>&1
        ($all | Where-Object { $_ -is [SmcDr.BackupInfo] }).State | Should -Be 'Complete'
        "$($all | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] })" | Should -Not -BeLike '*is a standby*'
    }
}
