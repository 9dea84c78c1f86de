#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# A system of a Redis and a directory is backed up, loses both, and comes back: the blocks below follow each other.

BeforeDiscovery {
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
    if ($cannot) {
        Write-Warning 'The cmdlets of systems are not tested: file stores work on 64-bit Linux only.'
    }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'RedisServer.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $server = Open-TestRedisServer
    $null = Invoke-TestRedisCommand $server EVAL 'for i = 1, 200 do redis.call("SET", "key:" .. i, i) end' 0
    $files = (New-Item -ItemType Directory -Path (Join-Path $server.Root 'files')).FullName
    $limits = Join-Path $files 'limits.conf'
    Set-Content -LiteralPath $limits -Value 'limit = 10'
    $site = Join-Path $server.Root 'system.yaml'
    Set-Content -LiteralPath $site -Value @"
name: pester-system
repository: { location: "file://$(Join-Path $server.Root 'system')" }
objectives: { redis: { rto: 5m, rpo: 1h } }
regions:
  here:
    role: primary
    redis: { endpoint: "127.0.0.1:$($server.Port)", password: "file:$($server.SecretFile)" }
fileStores: [ { name: config, path: "$files" } ]
"@
    Set-SmcSite $site
}

AfterAll {
    if ($server) {
        Close-TestRedisServer $server
    }
}

Describe 'Backup-SmcSystem' -Skip:$cannot {
    It 'changes nothing with -WhatIf' {
        Get-HostText { Backup-SmcSystem -WhatIf } | Should -BeLike "*Back up Redis, File store 'config'*"
        Join-Path $server.Root 'system' | Should -Not -Exist
    }

    It 'writes each backup, and the whole with how far they lie apart' {
        $results = Backup-SmcSystem -Label nightly
        $results | Where-Object { $_ -is [SmcDr.BackupInfo] } | ForEach-Object Component | Sort-Object | Should -Be 'FileStore', 'Redis'
        $whole = $results[-1]
        $whole | Should -BeOfType [SmcDr.SystemBackupResult]
        $whole.State | Should -Be 'Complete'
        $whole.Backups.Label | Should -Be 'nightly', 'nightly'
        $whole.SkewSeconds | Should -BeGreaterThan 0
    }
}

Describe 'Test-SmcSystem' -Skip:$cannot {
    It 'writes a result for each check, and a Boolean with -Quiet' {
        $checks = Test-SmcSystem
        $checks | Should -BeOfType [SmcDr.CheckResult]
        $checks.Name | Should -Be 'Redis', 'RedisWrite', 'RedisReplication', 'Repository', 'BackupAge', 'BackupAge'
        $checks | Where-Object Outcome -NE Passed | Should -BeNullOrEmpty
        Test-SmcSystem -Quiet | Should -BeTrue
        (Test-SmcSystem Redis -SkipBackup).Name | Should -Be 'Redis', 'RedisWrite', 'RedisReplication'
    }
}

Describe 'Restore-SmcSystem' -Skip:$cannot {
    BeforeAll {
        $null = Invoke-TestRedisCommand $server FLUSHALL
        $null = Invoke-TestRedisCommand $server SET later 'than the backup'
        Remove-Item -LiteralPath $limits
    }

    It 'writes the plan with -WhatIf, and changes nothing' {
        $steps = Restore-SmcSystem -WhatIf
        $steps | Should -BeOfType [SmcDr.PlanStepResult]
        $steps.Step | Should -Be 'assess', 'restore-redis', 'restore-filestore-config', 'verify', 'measure'
        $steps.State | Select-Object -Unique | Should -Be 'Pending'
        $steps[0].Detail | Should -BeLike '*would be lost*'
        $limits | Should -Not -Exist
        Invoke-TestRedisCommand $server DBSIZE | Should -Be 1
        Get-SmcPlan | Should -BeNullOrEmpty
    }

    It 'refuses what the site does not have, and an instant without a zone' {
        Assert-SmcError SmcArgumentInvalid { Restore-SmcSystem -Component Database -Confirm:$false }
        { Restore-SmcSystem -TargetTime '2026-11-05 10:00' -Confirm:$false } | Should -Throw '*time zone*'
    }

    It 'stops what builds on a step that fails, leaves a plan, and nothing else begins over it' {
        Remove-Item -LiteralPath $files
        Set-Content -LiteralPath $files -Value 'in the way'
        $steps = [System.Collections.Generic.List[object]]::new()
        { Restore-SmcSystem -Confirm:$false | ForEach-Object { $steps.Add($_) } } | Should -Throw
        ($steps | Where-Object Step -EQ 'restore-redis').State | Should -Be 'Succeeded'
        ($steps | Where-Object Step -EQ 'verify').State | Should -Be 'NotReached'
        Invoke-TestRedisCommand $server DBSIZE | Should -Be 200
        (Get-SmcPlan).State | Should -Be 'Unfinished'
        Assert-SmcError SmcPlanUnfinished { Restore-SmcSystem -Component Redis -Confirm:$false }
        Assert-SmcError SmcPlanUnsuitable { Undo-SmcPlan -Confirm:$false }
        Remove-Item -LiteralPath $files
    }

    It 'is gone on with by Resume-SmcPlan, by the plan alone' {
        $results = Get-SmcPlan | Where-Object State -EQ Unfinished | Resume-SmcPlan -Confirm:$false
        $steps = $results | Where-Object { $_ -is [SmcDr.PlanStepResult] }
        ($steps | Where-Object Step -EQ 'restore-redis').State | Should -Be 'AlreadyDone'
        ($steps | Where-Object Step -EQ 'measure').Detail | Should -BeLike '*Redis back after*(objective 5 min, met)*'
        $whole = $results[-1]
        $whole | Should -BeOfType [SmcDr.SystemRestoreResult]
        $whole.Verdict | Should -Be 'Met'
        $whole.Components.Component | Should -Be 'Redis', 'FileStore'
        $whole.Components[0].RtoVerdict, $whole.Components[0].RpoVerdict | Should -Be 'Met', 'Met'
        $whole.Components[0].RecoverySeconds | Should -BeGreaterThan 0
        $whole.Components[1].Verdict | Should -BeNullOrEmpty
        Get-Content -LiteralPath $limits | Should -Be 'limit = 10'
        $plan = Get-SmcPlan -First 1
        $plan.State | Should -Be 'Succeeded'
        # Begun, tried to be taken back, and gone on with.
        $plan.Runs | Should -Be 3
        (Get-SmcPlan $plan.PlanId).Steps | Should -HaveCount 5
        Assert-SmcError SmcPlanUnsuitable { Resume-SmcPlan $plan.PlanId -Confirm:$false }
    }

    It 'is given up by Stop-SmcPlan, and another begins then' {
        Remove-Item -LiteralPath $files -Recurse
        Set-Content -LiteralPath $files -Value 'in the way'
        { Restore-SmcSystem -Confirm:$false } | Should -Throw
        $open = Get-SmcPlan | Where-Object State -EQ Unfinished
        Stop-SmcPlan $open.PlanId -WhatIf
        (Get-SmcPlan $open.PlanId).State | Should -Be 'Unfinished'
        ($open | Stop-SmcPlan -Confirm:$false).State | Should -Be 'Abandoned'
        Remove-Item -LiteralPath $files
        (Restore-SmcSystem -Component FileStore -Confirm:$false | Where-Object { $_ -is [SmcDr.PlanStepResult] }).State | Select-Object -Unique | Should -Be 'Succeeded'
    }
}

Describe 'Invoke-SmcRunbook' -Skip:$cannot {
    It 'writes the plan with -WhatIf, and changes nothing' {
        $null = Invoke-TestRedisCommand $server FLUSHALL
        $steps = Invoke-SmcRunbook DataCenterFailure -WhatIf
        $steps.Step | Should -Be 'assess', 'restore-redis', 'restore-filestore-config', 'verify', 'measure'
        $steps.State | Select-Object -Unique | Should -Be 'Pending'
        Invoke-TestRedisCommand $server DBSIZE | Should -Be 0
        Get-SmcPlan | Where-Object State -EQ Unfinished | Should -BeNullOrEmpty
    }

    It 'asks for what only a person can decide, and fails where nobody can be asked' {
        # A copy cannot be locked here, so that it has to be decided whether it is restored all the same.
        $target = [DateTimeOffset]::UtcNow.ToString('o')
        {
            Invoke-FreshPwsh -Parameters @{ Module = Get-SmcModulePath; Site = $site; Target = $target } -Script {
                param($Module, $Site, $Target)
                Import-Module $Module
                Invoke-SmcRunbook Ransomware -Site $Site -TargetTime $Target -Confirm:$false
            }
        } | Should -Throw '*NonInteractive*'
        Invoke-TestRedisCommand $server DBSIZE | Should -Be 0
        $warned = Invoke-SmcRunbook Ransomware -TargetTime $target -WhatIf 3>&1
        $warned | Where-Object { $_ -is [System.Management.Automation.WarningRecord] } | Should -BeLike '*It will be asked:*locked*'
        Assert-SmcError SmcArgumentInvalid { Invoke-SmcRunbook Ransomware -Confirm:$false }
        Assert-SmcError SmcArgumentInvalid { Invoke-SmcRunbook Other -Confirm:$false }
    }

    It 'carries it out, and Get-SmcRunbook has what it took' {
        (Get-SmcRunbook Ransomware).Measured | Should -BeNullOrEmpty
        $done = Invoke-SmcRunbook Ransomware -TargetTime ([DateTimeOffset]::UtcNow.ToString('o')) -Force -Confirm:$false
        # Redis and the files are restored beside each other.
        ($done | Where-Object { $_ -is [SmcDr.PlanStepResult] }).Step | Sort-Object |
            Should -Be 'assess', 'hold-backups', 'measure', 'restore-filestore-config', 'restore-redis', 'verify', 'verify-backups'
        $done[-1] | Should -BeOfType [SmcDr.SystemRestoreResult]
        Invoke-TestRedisCommand $server DBSIZE | Should -Be 200
        (Get-SmcRunbook Ransomware).Measured | Should -BeGreaterThan ([timespan]::Zero)
        (Get-SmcRunbook Ransomware).MeasuredCount | Should -Be 1
    }
}
