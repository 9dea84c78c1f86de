#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# What one cmdlet writes is what the next one takes. The blocks below follow each other.

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
    $taking = Get-Command -Module SmcDr -CommandType Cmdlet | Where-Object {
        $_.ParameterSets.Parameters | Where-Object { $_.ValueFromPipeline -or $_.ValueFromPipelineByPropertyName }
    } | ForEach-Object Name
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    foreach ($file in 'Assertions', 'PostgresServer', 'RedisServer', 'AlertReceiver', 'TestSystem') {
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', "$file.ps1"))
    }

    Import-Module (Get-SmcModulePath) -Global
}

Describe 'A cmdlet that takes the pipeline' {
    BeforeAll {
        # Whatever stands behind a '|' in a test, here or in the files of its subject.
        $piped = foreach ($file in Get-ChildItem -LiteralPath $PSScriptRoot -Filter '*.Tests.ps1') {
            $ast = [System.Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref] $null, [ref] $null)
            foreach ($pipeline in $ast.FindAll({ $args[0] -is [System.Management.Automation.Language.PipelineAst] }, $true)) {
                $pipeline.PipelineElements | Select-Object -Skip 1 | ForEach-Object {
                    $_ -is [System.Management.Automation.Language.CommandAst] ? $_.GetCommandName() : $null
                }
            }
        }
    }

    It 'has a test that pipes something to it: <_>' -ForEach $taking {
        $_ | Should -BeIn $piped
    }
}

Describe 'Pipelines' -Skip:$cannot {
    BeforeAll {
        $system = Open-TestSystem -Name pester-pipes
        Set-SmcSite $system.Site
    }

    AfterAll {
        if ($system) {
            Close-TestSystem $system
        }
    }

    Context 'of sites' {
        It 'test, choose and back up the sites of the session' {
            (Get-SmcSite pester-pipes | Test-SmcSite).Name | Should -Contain 'DatabaseConnection'
            (Get-SmcSite pester-pipes | Set-SmcSite -PassThru).IsCurrent | Should -BeTrue
            (Get-SmcSite pester-pipes | Backup-SmcRedis -Confirm:$false).Component | Should -Be 'Redis'
            (Get-Item -LiteralPath $system.Site | Backup-SmcDatabase -Confirm:$false).Component | Should -Be 'Database'
            ('pester-pipes' | Get-SmcSite).Path | Should -Be $system.Site
        }
    }

    Context 'of backups' {
        It 'verify, copy, hold and release what was just backed up' {
            $stores = 'logs', 'config' | Backup-SmcFileStore -Confirm:$false
            $stores.Name | Should -Be 'logs', 'config'
            ($stores | Test-SmcBackup -Deep).Outcome | Should -Be 'Passed', 'Passed'
            $vault = Join-Path $system.Root 'vault'
            ($stores | Copy-SmcBackup -Destination $vault -Wal None).State | Should -Be 'Complete', 'Complete'
            ($stores | Protect-SmcBackup -Hold audit).BackupId | Should -Be $stores.Id
            ($stores | Get-SmcBackup -Component FileStore).Id | Should -Be $stores.Id
            { $stores[0] | Remove-SmcBackup -Confirm:$false -ErrorAction Stop } | Should -Throw -ErrorId 'SmcBackupProtected*'
            $stores | Unprotect-SmcBackup -Confirm:$false
            Get-SmcBackup -Component FileStore | Protect-SmcBackup -Hold all | Should -HaveCount 2
            Get-SmcBackup | Unprotect-SmcBackup -Confirm:$false
        }

        It 'restore a directory, and Redis' {
            Set-Content -LiteralPath (Join-Path $system.Files 'limits.conf') -Value 'limit = 0'
            $restored = Get-SmcBackup -Component FileStore | Where-Object Name -EQ config | Restore-SmcFileStore -Force -Confirm:$false
            $restored.Name | Should -Be 'config'
            Get-Content -LiteralPath (Join-Path $system.Files 'limits.conf') | Should -Be 'limit = 10'
            $null = Invoke-TestRedisCommand $system.Redis FLUSHALL
            (Get-SmcBackup -Component Redis | Restore-SmcRedis -Confirm:$false).KeysRestored | Should -Be 200
            Invoke-TestRedisCommand $system.Redis DBSIZE | Should -Be 200
        }

        It 'restore a database, physically and from a dump' {
            $side = Join-Path $system.Root 'side'
            $result = Get-SmcBackup -Component Database -State Complete | Restore-SmcDatabase -Immediate -DataDirectory $side -NoStart -LeaveWriters -Confirm:$false
            $result.DataDirectory | Should -Be $side
            $null = Backup-SmcDatabase -Method Logical -Database postgres -Confirm:$false
            $result = Get-SmcBackup -Component Database | Where-Object Kind -EQ Logical | Restore-SmcDatabase -TargetDatabase beside -Confirm:$false
            $result.TargetDatabase | Should -Be 'beside'
        }

        It 'test a recovery, and pass a result on as an alert' {
            (Get-SmcBackup -Component Database | Where-Object Kind -EQ Full | Test-SmcRecovery -QueriesOnly -WorkDirectory $system.Root -NoAlert).Outcome | Should -Be 'Passed'
            (Get-SmcRecoveryTest | Test-SmcRecovery -QueriesOnly -WorkDirectory $system.Root -NoAlert -Quiet) | Should -BeTrue
            $told = Test-SmcBackup -NewerThan 0s | Where-Object Outcome -EQ Failed | Send-SmcAlert
            $told.State | Should -Be 'Sent'
            $null = Read-TestReceiver $system.Receiver
        }

        It 'remove them, one by one as they come' {
            $more = 1..2 | ForEach-Object { Backup-SmcRedis -Confirm:$false }
            $removed = Get-SmcBackup -Component Redis | Sort-Object StartTime | Select-Object -SkipLast 1 | Remove-SmcBackup -Confirm:$false
            $removed.Action | Select-Object -Unique | Should -Be 'Removed'
            (Get-SmcBackup -Component Redis).Id | Should -Be $more[-1].Id
        }

        It 'leave the rest to the rules of the site' {
            $null = 1..2 | ForEach-Object { Backup-SmcFileStore logs -Full -Confirm:$false }
            $outcome = Invoke-SmcRetention -Confirm:$false | Where-Object Component -EQ FileStore
            $outcome.Action | Should -Contain 'Removed'
            (Get-SmcBackup -Component FileStore | Test-SmcBackup).Outcome | Select-Object -Unique | Should -Be 'Passed'
        }

        It 'do nothing, and say so, where nothing came' {
            $quiet = @{ WarningVariable = 'warned'; WarningAction = 'SilentlyContinue' }
            Get-SmcBackup none* | Copy-SmcBackup -Destination (Join-Path $system.Root 'none') @quiet | Should -BeNullOrEmpty
            $warned | Should -BeLike '*nothing is copied*'
            Get-SmcBackup none* | Restore-SmcDatabase -Confirm:$false @quiet | Should -BeNullOrEmpty
            $warned | Should -BeLike '*nothing is restored*'
            Get-SmcBackup none* | Restore-SmcRedis -Confirm:$false @quiet | Should -BeNullOrEmpty
            $warned | Should -BeLike '*nothing is restored*'
            @() | Invoke-SmcPointInTimeRecovery -Confirm:$false @quiet | Should -BeNullOrEmpty
            $warned | Should -BeLike '*nothing is recovered*'
        }
    }

    Context 'of the write-ahead log' {
        BeforeAll {
            $null = Backup-SmcDatabase -Full -Confirm:$false
            $null = Invoke-TestSql $system.Server 'create table lost (id int)'
            $null = Invoke-TestSql $system.Server 'insert into lost values (1)'
            $null = Invoke-TestSql $system.Server 'drop table lost'
            $null = Invoke-TestSql $system.Server 'insert into trades values (0, ''after it'')'
            $null = Start-SmcWalStream -Once -Confirm:$false
        }

        It 'recover to right before the transaction that was found' {
            $text = Get-HostText { Find-SmcTransaction -Kind Drop | Invoke-SmcPointInTimeRecovery -DataDirectory (Join-Path $system.Root 'none') -LeaveWriters -WhatIf }
            $text | Should -BeLike '*Recover the database cluster in*'
            $before = Join-Path $system.Root 'before'
            $result = Find-SmcTransaction -Kind Drop | Invoke-SmcPointInTimeRecovery -AsSideInstance -DataDirectory $before -LeaveWriters -Confirm:$false
            try {
                $rows = Invoke-PostgresProgram psql @('-X', '-A', '-t', '-h', $before, '-p', $result.Port, '-U', 'postgres', '-d', 'postgres', '-c',
                    'select (select count(*) from lost), (select count(*) from trades where id = 0)')
                "$rows".Trim() | Should -Be '1|0'
            } finally {
                $null = Invoke-PostgresProgram pg_ctl @('stop', '-w', '-s', '-m', 'immediate', '-D', $before)
            }
        }

        It 'refuse several of them' {
            Assert-SmcError SmcArgumentInvalid {
                Find-SmcTransaction -Kind Drop | ForEach-Object { $_; $_ } |
                    Invoke-SmcPointInTimeRecovery -DataDirectory (Join-Path $system.Root 'none') -Confirm:$false
            }
        }

        It 'export what a table held before it' {
            $found = Find-SmcTransaction -Kind Drop
            $splatTable = @{ Database = 'postgres'; Lsn = $found.RecoveryLsn; Exclusive = $true; OutDirectory = Join-Path $system.Root 'rescue'; WorkDirectory = $system.Root }
            $exported = Export-SmcTable public.lost @splatTable -Confirm:$false
            $exported.RowCount | Should -Be 1
            Get-Content -LiteralPath $exported.Path | Should -Contain '1'
        }

        It 'restore what a window begins with' {
            $text = Get-HostText {
                Get-SmcRecoveryWindow | Select-Object -Last 1 | Restore-SmcDatabase -DataDirectory (Join-Path $system.Root 'none') -LeaveWriters -WhatIf
            }
            $text | Should -BeLike '*Recover the database cluster in*'
        }

        It 'import what lies in a directory' {
            $archive = (New-Item -ItemType Directory -Path (Join-Path $system.Root 'archive')).FullName
            $null = Invoke-TestSql $system.Server 'select pg_switch_wal()'
            $segment = Get-ChildItem -LiteralPath (Join-Path $system.Server.DataDirectory 'pg_wal') -File | Where-Object Name -Match '^[0-9A-F]{24}$' |
                Sort-Object Name | Select-Object -First 1
            Copy-Item -LiteralPath $segment.FullName -Destination $archive
            (Get-ChildItem -LiteralPath $system.Root -Directory -Filter archive | Import-SmcWal -Confirm:$false).State | Should -Be 'Complete'
        }
    }

    Context 'of plans' {
        BeforeAll {
            $part = (New-Item -ItemType Directory -Path (Join-Path $system.Root 'part')).FullName
            Set-Content -LiteralPath (Join-Path $part 'one') -Value 'one'
            $partSite = Join-Path $system.Root 'part.yaml'
            Set-Content -LiteralPath $partSite -Value @"
name: pester-part
repository: { location: "file://$($system.Root)/parts" }
regions:
  here:
    role: primary
    redis: { endpoint: "127.0.0.1:$($system.Redis.Port)", password: "file:$($system.Redis.SecretFile)" }
fileStores: [ { name: config, path: "$part" } ]
"@
            Set-SmcSite $partSite
            $null = Backup-SmcSystem -Confirm:$false

            function New-BrokenPlan {
                Remove-Item -LiteralPath $part -Recurse -ErrorAction Ignore
                Set-Content -LiteralPath $part -Value 'in the way'
                try {
                    $null = Restore-SmcSystem -Confirm:$false
                } catch {
                    Remove-Item -LiteralPath $part
                }
            }
        }

        AfterAll {
            Set-SmcSite $system.Site
        }

        It 'show, give up, take back and go on with what is unfinished' {
            New-BrokenPlan
            $open = Get-SmcPlan | Where-Object State -EQ Unfinished
            ($open | Get-SmcPlan).Steps | Should -HaveCount 5
            ($open | Stop-SmcPlan -Confirm:$false).State | Should -Be 'Abandoned'
            New-BrokenPlan
            { Get-SmcPlan -First 1 | Undo-SmcPlan -Confirm:$false } | Should -Throw -ErrorId 'SmcPlanUnsuitable*'
            (Get-SmcPlan -First 1).State | Should -Be 'Unfinished'
            $results = Get-SmcPlan -First 1 | Resume-SmcPlan -Confirm:$false
            $results[-1] | Should -BeOfType [SmcDr.SystemRestoreResult]
            (Get-SmcPlan -First 1).State | Should -Be 'Succeeded'
        }

        It 'carry out a runbook' {
            (Get-SmcRunbook DataCenterFailure | Invoke-SmcRunbook -WhatIf).Step | Should -Contain 'restore-redis'
            (Get-SmcRunbook DataCenterFailure | Invoke-SmcRunbook -Confirm:$false)[-1] | Should -BeOfType [SmcDr.SystemRestoreResult]
        }
    }

    Context 'of incidents' {
        It 'note, close, reread and report the one that is open' {
            $null = Start-SmcIncident 'Rows are gone' -NoAlert
            $noted = Get-SmcIncident -Open | Add-SmcIncidentNote 'The backup is sound'
            $noted.Timeline[-1].Text | Should -Be 'The backup is sound'
            ('One', 'Two' | Add-SmcIncidentNote)[-1].Timeline.Text | Should -Contain 'Two'
            $closed = Get-SmcIncident -Open | Stop-SmcIncident 'All is there' -NoAlert
            $closed.State | Should -Be 'Closed'
            ($closed | Get-SmcIncident).Summary | Should -Be 'All is there'
            (Get-SmcIncident | Add-SmcIncidentNote 'Looked at again').State | Should -Be 'Closed'
            (Get-SmcIncident -First 1 | Export-SmcReport (Join-Path $system.Root 'incident.html')).Name | Should -Be 'incident.html'
        }
    }

    Context 'of keys' {
        It 'remove who shall no longer open the repository' {
            $keys = 'one', 'two' | ForEach-Object { New-SmcRepositoryKey (Join-Path $system.Root "$_.key") }
            $keySite = Join-Path $system.Root 'keys.yaml'
            Set-Content -LiteralPath $keySite -Value @"
name: pester-keys
repository: { location: "file://$($system.Root)/encrypted", encryptionKey: "file:$($keys[0].Path)" }
regions: { here: { role: primary } }
fileStores: [ { name: logs, path: "$($system.Logs)" } ]
"@
            $null = Backup-SmcFileStore -Site $keySite -Confirm:$false
            $null = New-SmcRepositoryKey -KeyFile $keys[1].Path -Name two -Site $keySite
            Get-SmcRepositoryKey -Site $keySite | Where-Object -Not Opens | Remove-SmcRepositoryKey -Site $keySite -Confirm:$false
            (Get-SmcRepositoryKey -Site $keySite).Opens | Should -BeTrue
        }
    }

    Context 'that run beside each other' {
        BeforeAll {
            $module = Get-SmcModulePath
            $sites = foreach ($number in 1..4) {
                $files = (New-Item -ItemType Directory -Path (Join-Path $system.Root "files-$number")).FullName
                1..20 | ForEach-Object { Set-Content -LiteralPath (Join-Path $files "file-$_") -Value "$number $_" }
                $path = Join-Path $system.Root "site-$number.yaml"
                Set-Content -LiteralPath $path -Value @"
name: pester-$number
repository: { location: "file://$($system.Root)/repository-$number" }
regions: { here: { role: primary } }
fileStores: [ { name: files, path: "$files" } ]
"@
                $path
            }
        }

        It 'back up, verify and restore with ForEach-Object -Parallel, each on the site of its own runspace' {
            $results = $sites | ForEach-Object -ThrottleLimit 4 -Parallel {
                Import-Module $using:module
                Set-SmcSite $_
                $backup = Backup-SmcFileStore -Confirm:$false
                [pscustomobject]@{
                    Site     = (Get-SmcSite).Name
                    Outcome  = ($backup | Test-SmcBackup -Deep).Outcome
                    Restored = ($backup | Restore-SmcFileStore -Destination "$_.restored" -Confirm:$false).FileCount
                    First    = Get-Content -LiteralPath (Join-Path "$_.restored" 'file-1')
                }
            }
            $results.Site | Sort-Object | Should -Be 'pester-1', 'pester-2', 'pester-3', 'pester-4'
            $results.Outcome | Select-Object -Unique | Should -Be 'Passed'
            $results | ForEach-Object { $_.First | Should -Be "$($_.Site[-1]) 1" }
            (Get-SmcSite pester-pipes).IsCurrent | Should -BeTrue
        }

        It 'do the same in thread jobs, and bring errors back as they are' {
            $jobs = foreach ($one in $sites) {
                Start-ThreadJob -ThrottleLimit 4 -ScriptBlock {
                    Import-Module $using:module
                    Backup-SmcFileStore -Site $using:one -Label 'in a job' -Confirm:$false
                    Get-SmcBackup 20200101T000000Z-none -Site $using:one
                }
            }
            $backups = $jobs | Wait-Job | Receive-Job -ErrorVariable failures -ErrorAction SilentlyContinue
            $jobs | Remove-Job
            $backups | Should -HaveCount 4
            $backups | Should -BeOfType [SmcDr.BackupInfo]
            $backups.State | Select-Object -Unique | Should -Be 'Complete'
            $backups.Repository | Select-Object -Unique | Should -HaveCount 4
            $failures.FullyQualifiedErrorId | Select-Object -Unique | Should -Be 'SmcBackupNotFound,SmcDr.PowerShell.Commands.GetSmcBackupCommand'
        }

        It 'stop, and leave nothing behind, when the job is stopped' {
            $job = Start-ThreadJob -ScriptBlock {
                Import-Module $using:module
                Start-SmcWalStream -Site ($using:system).Site -Confirm:$false
            }
            Wait-Until 'the stream has reported' { $job.Output.Count -gt 0 }
            $job | Stop-Job -PassThru | Remove-Job
            (Invoke-TestSql $system.Server 'select count(*) from pg_stat_replication') | Should -Be '0'
        }

        It 'pass objects through JSON as automation services do' {
            $id = (Get-SmcBackup -Component FileStore | Select-Object -First 1 | ConvertTo-Json | ConvertFrom-Json).Id
            (Get-SmcBackup -Component FileStore | Select-Object -First 1 | ConvertTo-Json | ConvertFrom-Json | Test-SmcBackup).Id | Should -Be $id
        }
    }
}
