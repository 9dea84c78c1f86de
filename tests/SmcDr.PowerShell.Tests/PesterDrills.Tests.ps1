#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# The tests that the module ships are run as an operator runs them, in a Pester of their own, on real servers; and its operator is asked what it knows.

BeforeDiscovery {
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    foreach ($file in 'Assertions', 'PostgresServer', 'RedisServer', 'AlertReceiver', 'TestSystem') {
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', "$file.ps1"))
    }

    Import-Module (Get-SmcModulePath) -Global
    $drills = Join-Path (Split-Path (Get-SmcModulePath)) 'Drills'
    Import-Module (Join-Path $drills 'SmcDr.Pester.psm1')
}

Describe 'Should -MeetSmcObjective' {
    BeforeAll {
        $now = [DateTimeOffset]::UtcNow

        function New-Objective([hashtable] $More) {
            $all = @{ Site = 's'; Component = 'Database'; Verdict = 'Met'; Time = $now; Repository = 'r'; Rto = '00:15:00'; Rpo = '00:05:00'; LossSeconds = 2.0; PredictedRecoverySeconds = 60.0 }
            foreach ($pair in $More.GetEnumerator()) {
                $all[$pair.Key] = $pair.Value
            }

            [SmcDr.ObjectiveResult] $all
        }

        function Get-Failure([scriptblock] $Script) {
            try {
                & $Script
            } catch {
                return $_.Exception.Message
            }

            throw 'The assertion holds.'
        }
    }

    It 'holds for what is in time and loses little, by the site''s objectives or by others' {
        New-Objective @{} | Should -MeetSmcObjective
        (New-Objective @{}), (New-Objective @{}) | Should -MeetSmcObjective
        New-Objective @{ PredictedRecoverySeconds = 1000.0 } | Should -MeetSmcObjective -Rto 00:20:00
        New-Objective @{ LossSeconds = 301.0 } | Should -Not -MeetSmcObjective
        New-Objective @{ Rto = $null; PredictedRecoverySeconds = $null } | Should -MeetSmcObjective
    }

    It 'says by how much it fails' {
        Get-Failure { New-Objective @{ PredictedRecoverySeconds = 1200.0 } | Should -MeetSmcObjective -Because 'we promised' } |
            Should -Be 'Expected the objectives to be met, because we promised, but Database of s: back after 20 min, objective 15 min.'
        Get-Failure { New-Objective @{} | Should -MeetSmcObjective -Rpo 00:00:01 } | Should -BeLike '*a loss of 2.0 s, objective 1.0 s*'
        Get-Failure { (New-Objective @{}), (New-Objective @{ Component = 'Redis'; LossSeconds = 400.0 }) | Should -MeetSmcObjective } |
            Should -BeLike '*but Redis of s: a loss of 6 min 40 s*'
        Get-Failure { New-Objective @{} | Should -Not -MeetSmcObjective } | Should -BeLike '*not to be met, but they are*'
    }

    It 'takes silence for no yes' {
        Get-Failure { @() | Should -MeetSmcObjective } | Should -BeLike '*nothing to judge*'
        Get-Failure { $null | Should -MeetSmcObjective } | Should -BeLike '*nothing to judge*'
        Get-Failure { New-Objective @{ PredictedRecoverySeconds = $null } | Should -MeetSmcObjective } | Should -BeLike '*back after nobody knows how long*'
        Get-Failure { New-Objective @{ Rto = $null; Rpo = $null } | Should -MeetSmcObjective } | Should -BeLike '*no objective to judge it by*'
        Get-Failure { 5 | Should -MeetSmcObjective } | Should -BeLike '*Int32*neither*'
    }

    It 'judges each kind of result' {
        $check = [SmcDr.CheckResult]@{ Name = 'Rows'; Target = 't'; Outcome = 'Failed'; Message = 'It is empty.' }
        $test = @{ TestId = 'x'; Site = 's'; Component = 'Database'; Outcome = 'Passed'; TargetKind = 'Latest'; StartTime = $now; Duration = '00:01:00'
            Checks = [SmcDr.CheckResult[]]@($check); Repository = 'r'; By = 'me'; RecoverySeconds = 42.0; ObjectiveSeconds = 900.0 }
        [SmcDr.RecoveryTestResult] $test | Should -MeetSmcObjective
        [SmcDr.RecoveryTestResult] $test | Should -Not -MeetSmcObjective -Rto 00:00:30
        $test.Outcome = 'Failed'
        Get-Failure { [SmcDr.RecoveryTestResult] $test | Should -MeetSmcObjective } | Should -BeLike '*it failed: It is empty.*'
        $part = [SmcDr.ComponentRecovery]@{ Component = 'Redis'; BackupId = 'b'; RecoverySeconds = 130; LossSeconds = 0; Rto = '00:01:00' }
        $whole = [SmcDr.SystemRestoreResult]@{ Site = 's'; StartTime = $now; Duration = '00:03:00'; Components = [SmcDr.ComponentRecovery[]]@($part) }
        Get-Failure { $whole | Should -MeetSmcObjective } | Should -BeLike '*recovery of Redis: back after 2 min 10 s, objective 1 min*'
        $over = [SmcDr.RegionFailoverResult]@{ Site = 's'; From = 'east'; To = 'west'; StartTime = $now; WriteTime = $now.AddSeconds(42); Rto = '00:00:30' }
        Get-Failure { $over | Should -MeetSmcObjective } | Should -BeLike '*from ''east'' to ''west'': back after 42.0 s*'
    }

    It 'may be imported again, and asks for Pester where that is not here' {
        Import-Module (Join-Path $drills 'SmcDr.Pester.psm1') -Force
        New-Objective @{} | Should -MeetSmcObjective
        {
            Invoke-FreshPwsh -Parameters @{ Path = Join-Path $drills 'SmcDr.Pester.psm1' } -Script {
                param($Path)
                $env:PSModulePath = ''
                Import-Module $Path
            }
        } | Should -Throw '*Import Pester 5 before*'
    }
}

Describe 'The tests that the module ships' -Skip:$cannot {
    BeforeAll {
        # In a process of its own, as a build server does, by copies.
        $copies = (New-Item -ItemType Directory -Path (Join-Path $TestDrive 'drills')).FullName
        Copy-Item -Path (Join-Path $drills '*.Tests.ps1') -Destination $copies
        function Invoke-Template([string] $Name, [hashtable] $Data) {
            $pester = Join-Path (Get-Module -Name Pester).ModuleBase 'Pester.psd1'
            Invoke-FreshPwsh -Parameters @{ Module = Get-SmcModulePath; Pester = $pester; Path = Join-Path $copies "$Name.Tests.ps1"; Data = $Data } -Script {
                param($Module, $Pester, $Path, $Data)
                Import-Module $Pester
                Import-Module $Module
                $configuration = New-PesterConfiguration
                $configuration.Run.Container = New-PesterContainer -Path $Path -Data $Data
                $configuration.Run.PassThru = $true
                $configuration.Output.Verbosity = 'None'
                $result = Invoke-Pester -Configuration $configuration
                [pscustomobject]@{
                    Passed  = $result.PassedCount
                    Failed  = $result.FailedCount + $result.FailedBlocksCount + $result.FailedContainersCount
                    Skipped = $result.SkippedCount
                    Reasons = "$($result.Failed.ErrorRecord) $($result.FailedBlocks.ErrorRecord) $($result.FailedContainers.ErrorRecord)"
                }
            }
        }

        $system = Open-TestSystem -Name pester-drills
        # Without it a site is not sound, and one of the tests says so.
        $null = Invoke-TestSql $system.Server 'alter system set fsync = on'
        $null = Invoke-TestSql $system.Server 'select pg_reload_conf()'
        Set-SmcSite $system.Site
        $null = Backup-SmcSystem -Confirm:$false
        $null = Start-SmcWalStream -Once -Confirm:$false
        $standby = Open-TestStandby $system.Server
        $regions = New-TestRegionSite -Name pester-drill-regions -Server $system.Server -Standby $standby
    }

    AfterAll {
        if ($standby) {
            Close-TestServer $standby
        }

        if ($system) {
            Close-TestSystem $system
        }
    }

    It 'are these' {
        Get-ChildItem -LiteralPath $copies | ForEach-Object Name | Sort-Object | Should -Be 'Backups.Tests.ps1', 'Drill.Tests.ps1', 'Failover.Tests.ps1', 'Recovery.Tests.ps1'
    }

    It 'bring a database and two directories back' {
        $result = Invoke-Template Recovery @{ Site = $system.Site; WorkDirectory = $system.Root }
        $result.Reasons.Trim() | Should -BeNullOrEmpty
        $result.Passed, $result.Failed, $result.Skipped | Should -Be 6, 0, 0
        [System.IO.Directory]::GetDirectories($system.Root, 'smcdr-*') | Should -BeNullOrEmpty
    }

    It 'fail where a backup is missing, and say which' {
        # What was measured by the test before is what the objectives of the database are judged by; of the directories and Redis nothing is known.
        $result = Invoke-Template Backups @{ Site = $system.Site }
        $result.Failed | Should -BeGreaterThan 0
        $result.Reasons | Should -BeLike '*nobody knows how long*'
        $null = Restore-SmcRedis -Confirm:$false
        $result = Invoke-Template Backups @{ Site = $system.Site }
        $result.Reasons.Trim() | Should -BeNullOrEmpty
        $result.Passed, $result.Failed | Should -Be 3, 0
        $result = Invoke-Template Backups @{ Site = $system.Site; NewerThan = '0s'; Deep = $true }
        $result.Passed, $result.Failed | Should -Be 2, 1
    }

    It 'look whether a region could take over' {
        Invoke-TestSql $system.Server 'select pg_switch_wal()'
        $null = Backup-SmcDatabase -Site $regions -Confirm:$false
        $result = Invoke-Template Failover @{ Site = $regions; Region = 'west' }
        $result.Reasons.Trim() | Should -BeNullOrEmpty
        $result.Passed, $result.Failed | Should -Be 3, 0
        (Get-SmcRegion west -Site $regions).Fencing | Should -Be 'Open'
    }

    It 'carry out a drill' {
        $result = Invoke-Template Drill @{ Size = '4MiB'; Report = Join-Path $TestDrive 'drill.html' }
        $result.Reasons.Trim() | Should -BeNullOrEmpty
        $result.Passed, $result.Failed | Should -Be 3, 0
        Join-Path $TestDrive 'drill.html' | Should -Exist
    }
}
