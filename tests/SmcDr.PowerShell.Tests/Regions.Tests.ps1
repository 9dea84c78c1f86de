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
    $site = New-TestRegionSite -Name pester-regions -Server $server -Standby $standby
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

    It 'makes a standby of the newest base backup on this host, and nothing a second time' {
        $follower = Join-Path $server.Root 'follower'
        $here = Join-Path $server.Root 'here.yaml'
        Set-Content -LiteralPath $here -Value @"
name: pester-replica
repository: { location: "file://$($server.Root)/replica" }
regions:
  east:
    role: primary
    database:
      connection: "Host=127.0.0.1;Port=$($server.Port);Username=postgres;Database=postgres"
      password: file:$($server.SecretFile)
      dataDirectory: $($server.DataDirectory)
      binDirectory: $(Get-PostgresBin)
  west:
    role: standby
    database:
      connection: "Host=127.0.0.1;Port=$(Get-FreePort);Username=postgres;Database=postgres"
      password: file:$($server.SecretFile)
      dataDirectory: $follower
      binDirectory: $(Get-PostgresBin)
"@
        $null = Backup-SmcDatabase -Site $here -Confirm:$false
        $made = Initialize-SmcRegionReplica -Site $here -NoArchive -Confirm:$false
        $made | Should -BeOfType [SmcDr.RegionReplicaResult]
        $made.State, $made.DataDirectory | Should -Be 'Created', $follower
        (Initialize-SmcRegionReplica -Site $here -NoArchive -Confirm:$false).State | Should -Be 'Unchanged'
        Get-HostText { Initialize-SmcRegionReplica -Site $here -NoArchive -WhatIf | Should -BeNullOrEmpty } | Should -BeLike '*follows ''east'' already*'
        $null = Invoke-PostgresProgram pg_ctl @('stop', '-w', '-s', '-m', 'fast', '-D', $follower)
        $null = Invoke-TestSql $server 'select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active'
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
        $rehearsed = Start-SmcRegionFailover -WhatIf -WarningVariable told -WarningAction SilentlyContinue
        $told | Should -BeLike 'This would be refused now.*signs of life*-Planned*-Force*'
        $steps = Start-SmcRegionFailover -Force -WhatIf
        $rehearsed.Step | Should -Be $steps.Step
        $steps.Step | Should -Be 'assess-region', 'fence-region', 'keep-wal', 'stop-primary', 'drain-wal', 'promote-database', 'prepare-primary', 'verify-region', 'report-failover'
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
        $west.Role, $west.FileRole | Should -Be 'Primary', 'Standby'
        $east.Role, $east.FileRole | Should -Be 'Standby', 'Primary'
        $east.Problems -join ' ' | Should -BeLike '*The site file calls it primary*'
        (Get-SmcPlan).Operation | Should -Be 'Start-SmcRegionFailover'
    }

    It 'goes by the region that leads from then on, whatever the site file says' {
        (Backup-SmcDatabase -Confirm:$false).Timeline | Should -Be 2
        (Test-SmcSite | Where-Object Name -EQ 'DatabaseConnection').Outcome | Should -Be 'Passed'
    }

    It 'changes nothing when it is run again, and says so' {
        $steps = Start-SmcRegionFailover -Force -Confirm:$false
        $steps.State | Should -Be 'AlreadyDone'
        $steps.Detail | Should -BeLike "'west' leads already, on timeline 2, in epoch 1*"
        (Get-SmcRegion west).Epoch | Should -Be 1
    }
}

Describe 'Start-SmcRegionFailback' {
    It 'says that it works on the former primary''s own host, and changes nothing' {
        $refusal = Assert-SmcError SmcRegionUnsuitable { Start-SmcRegionFailback -Confirm:$false }
        $refusal.Exception.Message | Should -BeLike '*is not on this host*'
        Assert-SmcError SmcRegionUnsuitable { Start-SmcRegionFailback east -WhatIf }
        (Get-SmcRegion west).Fencing | Should -Be 'Leads'
    }

    It 'changes nothing where the region leads already' {
        (Start-SmcRegionFailback west -Confirm:$false).State | Should -Be 'AlreadyDone'
    }
}
