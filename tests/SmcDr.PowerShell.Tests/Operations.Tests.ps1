#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# One site's schedules and incidents: the blocks below follow each other.

BeforeDiscovery {
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-test-').FullName
    $files = (New-Item -ItemType Directory -Path (Join-Path $root 'files')).FullName
    Set-Content -LiteralPath (Join-Path $files 'one') -Value 'one'
    $site = Join-Path $root 'smcdr.yaml'
    Set-Content -LiteralPath $site -Value @"
name: pester-operations
repository: { location: "file://$(Join-Path $root 'repository')" }
objectives: { database: { rto: 15m } }
regions: { here: { role: primary, database: { connection: "Host=127.0.0.1;Port=1" } } }
fileStores: [ { name: config, path: "$files" } ]
contacts: [ { role: DBA, name: Kim, address: dba@example.test } ]
schedules: { fileStore: "0 */6 * * *", monitor: "0 8 * * mon-fri", timeZone: Europe/Berlin }
"@
    Set-SmcSite $site
    $units = Join-Path $root 'units'
}

AfterAll {
    if ($root) {
        Remove-Item -LiteralPath $root -Recurse -Force
    }
}

Describe 'Register-SmcSchedule' -Skip:$cannot {
    BeforeAll {
        $how = @{ Kind = 'SystemdTimer'; UnitDirectory = $units }
        $program = @{ Program = '/usr/bin/smcdr' }
    }

    It 'shows with -WhatIf what it would write, and writes nothing' {
        $planned = Register-SmcSchedule @how @program -WhatIf
        $planned | Should -BeOfType [SmcDr.ScheduleInfo]
        $planned.Task | Should -Be 'fileStore', 'monitor'
        $planned.State | Should -Be 'Planned', 'Planned'
        $planned[0].Text | Should -BeLike '*OnCalendar=`*-`*-`* 00,06,12,18:00:00 Europe/Berlin*Persistent=true*'
        $planned[1].NextTime | Should -BeGreaterThan ([DateTimeOffset]::UtcNow)
        $units | Should -Not -Exist
    }

    It 'writes files alone with -OutputDirectory' {
        $out = Join-Path $root 'out'
        $written = Register-SmcSchedule @how @program -Task monitor -OutputDirectory $out
        $written.State | Should -Be 'Written'
        $written.Files | Should -Be (Join-Path $out 'smcdr-pester-operations-monitor.service'), (Join-Path $out 'smcdr-pester-operations-monitor.timer')
        $written.Files | Should -Exist
    }

    It 'registers, and changes nothing a second time' -Skip:(Test-Path /run/systemd/system) {
        $first = Register-SmcSchedule @how @program -Confirm:$false -WarningVariable warnings -WarningAction SilentlyContinue
        $first.State | Should -Be 'Created', 'Created'
        "$warnings" | Should -BeLike '*systemd does not run here*'
        (Register-SmcSchedule @how @program -Confirm:$false -WarningAction SilentlyContinue).State | Should -Be 'Same', 'Same'
    }

    It 'removes what it registered, and nothing with -WhatIf' -Skip:(Test-Path /run/systemd/system) {
        (Unregister-SmcSchedule @how -WhatIf).State | Should -Be 'Planned', 'Planned'
        (Unregister-SmcSchedule @how -Confirm:$false -WarningAction SilentlyContinue).State | Should -Be 'Removed', 'Removed'
        Get-ChildItem $units | Should -BeNullOrEmpty
    }

    It 'refuses a task that the site has no schedule for' {
        (Assert-SmcError SmcScheduleUnsuitable { Register-SmcSchedule @how @program -Task redis -WhatIf }).ErrorDetails.RecommendedAction | Should -BeLike '*redis*'
    }
}

Describe 'Start-SmcIncident' -Skip:$cannot {
    It 'has none before one is opened' {
        Backup-SmcFileStore -Confirm:$false | Should -Not -BeNullOrEmpty
        Get-SmcIncident | Should -BeNullOrEmpty
        Assert-SmcError SmcIncidentUnsuitable { Stop-SmcIncident -Summary 'Over' }
    }

    It 'opens one, with the contacts and phases, and nothing with -WhatIf' {
        Start-SmcIncident 'Files are gone' -WhatIf | Should -BeNullOrEmpty
        Get-SmcIncident | Should -BeNullOrEmpty
        $incident = Start-SmcIncident 'Files are gone' -Severity Error -Scenario Ransomware
        $incident | Should -BeOfType [SmcDr.IncidentInfo]
        $incident.State | Should -Be 'Open'
        $incident.Contacts.Address | Should -Be 'dba@example.test'
        $incident.Phases.Phase | Should -Be 'Response', 'Communication', 'Recovery', 'Verification', 'PostIncident'
        Assert-SmcError SmcIncidentUnsuitable { Start-SmcIncident 'Another' }
    }

    It 'has what commands do in its timeline, but not what only looks' {
        $null = Backup-SmcFileStore -Label 'in the incident' -Confirm:$false
        $null = Backup-SmcFileStore -WhatIf
        $null = Get-SmcBackup
        Assert-SmcError SmcBackupNotFound { Restore-SmcFileStore config -BackupId 20260101T000000Z-full -Confirm:$false }
        Assert-SmcError SmcBackupNotFound {
            Restore-SmcSystem -TargetTime '2020-01-01T02:00:00+02:00' -Component FileStore -Confirm:$false
        }
        Assert-SmcError SmcSiteInvalid { $site | Backup-SmcRedis -Confirm:$false }
        $null = 'The volume is back' | Add-SmcIncidentNote -Phase Recovery

        $timeline = (Get-SmcIncident -Open).Timeline
        $timeline.Kind | Should -Be 'Opened', 'Command', 'Command', 'Command', 'Command', 'Note'
        $timeline[1].Text | Should -Be "Backup-SmcFileStore -Label 'in the incident'"
        $timeline[1].Outcome | Should -Be 'Succeeded'
        $timeline[2].Text | Should -Be 'Restore-SmcFileStore -BackupId 20260101T000000Z-full -Name config'
        $timeline[2].Outcome, $timeline[2].ErrorId | Should -Be 'Failed', 'SmcBackupNotFound'
        $timeline[3].Text | Should -Be 'Restore-SmcSystem -TargetTime 2020-01-01T00:00:00Z -Component FileStore'
        $timeline[4].Text, $timeline[4].Outcome | Should -Be 'Backup-SmcRedis', 'Failed'
        $timeline[5].Phase | Should -Be 'Recovery'
    }

    It 'notes a command whose pipeline was ended early as stopped' {
        $null = Get-SmcBackup | Test-SmcBackup | Select-Object -First 1
        $deadline = [DateTime]::UtcNow.AddSeconds(30)
        while (($last = (Get-SmcIncident -Open).Timeline[-1]).Outcome -eq 'Running' -and [DateTime]::UtcNow -lt $deadline) {
            Start-Sleep -Milliseconds 100
        }

        $last.Text | Should -BeLike 'Test-SmcBackup*'
        $last.Outcome | Should -Be 'Stopped'
    }

    It 'is closed with what became of it, and reported' {
        $incident = Stop-SmcIncident -Summary 'All is there' -RootCause 'A script'
        $incident.State, $incident.Summary, $incident.RootCause | Should -Be 'Closed', 'All is there', 'A script'
        $report = $incident | Export-SmcReport -Path (Join-Path $root 'incident.html')
        Get-Content -Raw $report | Should -BeLike '*Files are gone*in the incident*'
        (Export-SmcReport -Path (Join-Path $root 'incident.md')).Name | Should -Be 'incident.md', 'incident.svg'
        Export-SmcReport -Path (Join-Path $root 'none.html') -WhatIf | Should -BeNullOrEmpty
        Join-Path $root 'none.html' | Should -Not -Exist
        Assert-SmcError SmcArgumentInvalid { 5 | Export-SmcReport -Path (Join-Path $root 'none.html') }
    }
}

Describe 'Get-SmcRunbook' -Skip:$cannot {
    It 'has commands that there are, with parameters that they have' {
        $books = Get-SmcRunbook
        $books.Scenario | Should -Be 'PodFailure', 'DatabaseCorruption', 'RegionFailure', 'DataCenterFailure', 'Ransomware'
        foreach ($step in @($books.Steps) + $books) {
            $ast = [System.Management.Automation.Language.Parser]::ParseInput($step.Command, [ref] $null, [ref] $null)
            foreach ($command in $ast.FindAll({ $args[0] -is [System.Management.Automation.Language.CommandAst] }, $true)) {
                $found = Get-Command $command.GetCommandName() -Module SmcDr
                foreach ($parameter in $command.CommandElements | Where-Object { $_ -is [System.Management.Automation.Language.CommandParameterAst] }) {
                    $found.Parameters.Keys | Should -Contain $parameter.ParameterName -Because $step.Command
                }
            }
        }
    }

    It 'has the objective of the site, and no time that nobody measured' {
        $book = Get-SmcRunbook DatabaseCorruption
        $book.Objective | Should -Be ([timespan]::FromMinutes(15))
        $book.Measured | Should -BeNullOrEmpty
    }

    It 'refuses a scenario that it has none for' {
        Assert-SmcError SmcArgumentInvalid { Get-SmcRunbook Other }
    }
}
