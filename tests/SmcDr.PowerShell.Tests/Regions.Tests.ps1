#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# A primary and a standby as the regions of a site, of which nothing is known to be on this host: the blocks below follow each other.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $server = Open-TestServer
    $null = Invoke-TestSql $server 'create table trades as select i as id from generate_series(1, 2000) i'
    $standby = Open-TestStandby $server
    $site = Join-Path $server.Root 'regions.yaml'
    Set-Content -LiteralPath $site -Value @"
name: pester-regions
repository:
  location: $(Join-Path $server.Root 'repository')
regions:
  east:
    role: primary
    database:
      connection: "Host=127.0.0.1;Port=$($server.Port);Username=postgres;Database=postgres"
      password: file:$($server.SecretFile)
  west:
    role: standby
    database:
      connection: "Host=127.0.0.1;Port=$($standby.Port);Username=postgres;Database=postgres"
      password: file:$($server.SecretFile)
"@
    Set-SmcSite $site
    $null = Backup-SmcDatabase -Confirm:$false
}

AfterAll {
    foreach ($opened in $standby, $server) {
        if ($opened) {
            Close-TestServer $opened
        }
    }
}

Describe 'Get-SmcRegion' {
    It 'shows each region, and which could take over' {
        $east, $west = Get-SmcRegion
        $east.ActualRole | Should -Be 'Primary'
        $east.Fencing | Should -Be 'Open'
        $east.CanTakeOver | Should -BeNullOrEmpty
        $west.ActualRole | Should -Be 'Standby'
        $west.CanTakeOver | Should -BeTrue
        $west.Obstacles | Should -BeNullOrEmpty
    }

    It 'takes names from the pipeline, and refuses others' {
        ('west' | Get-SmcRegion).Name | Should -Be 'west'
        Assert-SmcError SmcArgumentInvalid { Get-SmcRegion north }
    }
}

Describe 'Initialize-SmcRegionReplica' {
    It 'says that it works on the standby''s own host' {
        Assert-SmcError SmcSiteInvalid { Initialize-SmcRegionReplica -NoArchive -Confirm:$false }
        Assert-SmcError SmcArgumentInvalid { Initialize-SmcRegionReplica east -NoArchive -Confirm:$false }
    }
}

Describe 'Start-SmcRegionFailover' {
    It 'refuses to leave a primary that answers' {
        $refusal = Assert-SmcError SmcPrimaryAlive { Start-SmcRegionFailover west -Confirm:$false }
        $refusal.Exception.Message | Should -BeLike '*answers, and its WAL ends at*'
        Assert-SmcError SmcRegionUnsuitable { Start-SmcRegionFailover -Planned -Confirm:$false }
        Assert-SmcError SmcArgumentInvalid { Start-SmcRegionFailover -Planned -Force -Confirm:$false }
    }

    It 'shows the steps with -WhatIf, and changes nothing' {
        $steps = Start-SmcRegionFailover -Force -WhatIf
        $steps.Step | Should -Be 'assess-region', 'fence-region', 'stop-primary', 'drain-wal', 'promote-database', 'prepare-primary', 'verify-region', 'report-failover'
        $steps.State | Select-Object -Unique | Should -Be 'Pending'
        (Get-SmcRegion east).Fencing | Should -Be 'Open'
    }

    It 'leads the site over, silences the primary that it cannot stop, and says so' {
        $steps = Start-SmcRegionFailover -Force -Confirm:$false -WarningVariable warnings -WarningAction SilentlyContinue
        $steps[-1].Detail | Should -BeLike "*'west' leads on timeline 2*"
        $warnings | Should -BeLike '*cannot be stopped from here*'
        (Invoke-TestSql $standby 'insert into trades values (0) returning id') | Should -Be '0'
        { Invoke-TestSql $server 'insert into trades values (0)' } | Should -Throw '*read-only transaction*'

        $east, $west = Get-SmcRegion
        $east.Fencing | Should -Be 'Fenced'
        $east.CanTakeOver | Should -BeFalse
        $west.Fencing | Should -Be 'Leads'
        Assert-SmcError SmcFenced { Backup-SmcDatabase -Confirm:$false }
        (Get-SmcPlan).Operation | Should -Be 'Start-SmcRegionFailover'
    }
}
