#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# One server is backed up, loses a table, and is recovered: the blocks below follow each other as in an incident.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    $module = Get-SmcModulePath
    Import-Module $module -Global

    $server = Open-TestServer
    $site = Save-TestSite $server
    $repository = Join-Path $server.Root 'repository'
    $null = Invoke-TestSql $server 'create table trades (id int primary key, note text); insert into trades select i, md5(i::text) from generate_series(1, 1000) i'
    $digest = 'select count(*) || '' '' || coalesce(md5(string_agg(id || note, '','' order by id)), '''') from trades'
    Set-SmcSite $site
}

AfterAll {
    if ($server) {
        Close-TestServer $server
    }
}

Describe 'The site' {
    It 'is the session''s, and listed' {
        $current = Get-SmcSite pester
        $current | Should -BeOfType [SmcDr.SiteInfo]
        $current.Path | Should -Be $site
        $current.IsCurrent | Should -BeTrue
        (Get-SmcSite pest*).Name | Should -Contain 'pester'
        Get-SmcSite nosuch* | Should -BeNullOrEmpty
        Assert-SmcError SmcSiteNotFound { Get-SmcSite nosuch -ErrorAction Stop }
    }

    It 'is returned with -PassThru, and taken from the pipeline' {
        (Get-SmcSite pester | Set-SmcSite -PassThru).Path | Should -Be $site
        (Get-Item -LiteralPath $site | Set-SmcSite -PassThru).Name | Should -Be 'pester'
    }

    It 'is not changed by -WhatIf' {
        $other = Save-TestSite $server -Name other
        Set-SmcSite $other -WhatIf
        (Get-SmcSite pester).IsCurrent | Should -BeTrue
        Get-SmcSite other* | Should -BeNullOrEmpty
    }

    It 'is refused with every problem where its file is wrong' {
        $wrong = Join-Path $TestDrive 'wrong.yaml'
        Set-Content -LiteralPath $wrong -Value "name: x`nrepositry: {}"
        (Assert-SmcError SmcSiteInvalid { Set-SmcSite $wrong }).Exception.Message | Should -BeLike '*wrong.yaml:2*repository*'
        Assert-SmcError SmcSiteNotFound { Set-SmcSite (Join-Path $TestDrive 'none.yaml') }
    }

    It 'is found in the environment and in the current directory by a session without one, and missed with advice' {
        $shell = [powershell]::Create()
        try {
            $found = $shell.AddScript({
                    param($Module, $Site, $Directory)
                    Import-Module $Module
                    Set-Location -LiteralPath $Directory
                    try { Get-SmcBackup } catch { $_.FullyQualifiedErrorId }
                    Copy-Item -LiteralPath $Site -Destination (Join-Path $Directory 'smcdr.yaml')
                    (Set-SmcSite -PassThru -WhatIf:$false).Path
                    $env:SMCDR_SITE = $Site
                    try { (Set-SmcSite -PassThru).Path } finally { Remove-Item env:SMCDR_SITE }
                }.ToString()).AddArgument($module).AddArgument($site).AddArgument("$TestDrive").Invoke()
            $found | Should -Be 'SmcSiteNotSet,SmcDr.PowerShell.Commands.GetSmcBackupCommand', (Join-Path $TestDrive 'smcdr.yaml'), $site
        } finally {
            $shell.Dispose()
        }
    }
}

Describe 'Before the first backup' {
    It 'says that there is no repository' {
        Assert-SmcError SmcRepositoryNotFound { Get-SmcBackup }
        Assert-SmcError SmcRepositoryNotFound { Get-SmcRecoveryWindow }
        Assert-SmcError SmcRepositoryNotFound { Restore-SmcDatabase -WhatIf }
    }

    It 'changes nothing with -WhatIf, and names server and repository' {
        $text = Get-HostText {
            Backup-SmcDatabase -WhatIf
            Start-SmcWalStream -WhatIf
        }
        $text | Should -BeLike "*PostgreSQL at 127.0.0.1:$($server.Port)*$repository*"
        $repository | Should -Not -Exist
        Invoke-TestSql $server 'select count(*) from pg_replication_slots' | Should -Be '0'
    }

    It 'refuses a wrong password without telling it' {
        $wrongSecret = [guid]::NewGuid().ToString('N')
        $env:SMCDR_PESTER_SECRET = $wrongSecret
        try {
            $wrong = Save-TestSite $server -Name wrong -SecretReference 'env:SMCDR_PESTER_SECRET' -Repository (Join-Path $server.Root 'wrong')
            $all = [System.Collections.Generic.List[object]]::new()
            $refusal = Assert-SmcError SmcAuthenticationFailed {
                Backup-SmcDatabase -Site $wrong -Verbose -Debug -WarningAction Continue -Confirm:$false *>&1 | ForEach-Object { $all.Add($_) }
            }
        } finally {
            Remove-Item -LiteralPath env:SMCDR_PESTER_SECRET
        }
        $told = ($all + $refusal | ForEach-Object { $_ | Format-List -Property * -Force }) + (Get-Error -InputObject $refusal) | Out-String -Width 1000
        $told | Should -BeLike '*postgres*'
        $told | Should -Not -BeLike "*$wrongSecret*"
    }

    It 'asks vaults of SecretManagement for a secret' {
        $vaulted = Save-TestSite $server -Name vaulted -SecretReference 'secret:vault/database'
        $modulePath = $env:PSModulePath
        try {
            if (-not (Get-Module -ListAvailable -Name Microsoft.PowerShell.SecretManagement)) {
                $refusal = Assert-SmcError SmcSecretUnavailable { Start-SmcWalStream -Site $vaulted -Once }
                $refusal.Exception.Message | Should -BeLike "*'secret:vault/database'*SecretManagement*"
            }

            $folder = Join-Path $TestDrive 'modules' 'Microsoft.PowerShell.SecretManagement'
            $null = New-Item -ItemType Directory -Path $folder -Force
            Set-Content -LiteralPath (Join-Path $folder 'Microsoft.PowerShell.SecretManagement.psm1') -Value @"
function Get-Secret {
    [CmdletBinding()]
    param(`$Vault, `$Name, [switch] `$AsPlainText)
    if (`$Vault -ne 'vault' -or `$Name -ne 'database' -or -not `$AsPlainText) { throw 'There is no such secret.' }
    '$($server.Secret)'
}
"@
            $env:PSModulePath = (Join-Path $TestDrive 'modules') + [System.IO.Path]::PathSeparator + $modulePath
            $told = Get-HostText {
                $script:first = Start-SmcWalStream -Site $vaulted -Slot '' | Where-Object State -EQ 'Streaming' | Select-Object -First 1
            }
            $script:first.SystemId | Should -Match '^\d+$'
            $told | Should -Not -BeLike '*interrupted*' -Because 'stopping an idle stream is no interruption'
        } finally {
            $env:PSModulePath = $modulePath
            Remove-Module Microsoft.PowerShell.SecretManagement -ErrorAction Ignore
        }
    }
}

Describe 'Backup and WAL' {
    BeforeAll {
        $streams = [System.Collections.Generic.List[object]]::new()
        # -Debug alone would ask at each warning, and before the backup.
        $splatBackup = @{
            Label         = 'first of all'
            Parallelism   = 2
            Verbose       = $true
            Debug         = $true
            WarningAction = 'Continue'
            Confirm       = $false
        }
        $backup = Backup-SmcDatabase @splatBackup *>&1 | ForEach-Object {
            if ($_ -is [SmcDr.BackupInfo]) { $_ } else { $streams.Add($_) }
        }
    }

    It 'gives the backup, and tells no secret' {
        $backup.State | Should -Be 'Complete'
        $backup.Label | Should -Be 'first of all'
        $backup.Kind | Should -Be 'Full'
        $backup.PageChecksumErrors | Should -Be 0
        $streams | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] } | Should -Not -BeNullOrEmpty
        $streams | Out-String | Should -Not -BeLike "*$($server.Secret)*"
    }

    It 'streams what the server has written, and ends' {
        $end = [SmcDr.Lsn]::Parse((Invoke-TestSql $server 'insert into trades select i, md5(i::text) from generate_series(1001, 2000) i; select pg_current_wal_flush_lsn()'))
        $statuses = @(Start-SmcWalStream -Once -Timeout 60s)
        $statuses | ForEach-Object { $_ | Should -BeOfType [SmcDr.WalStreamStatus] }
        $statuses[-1].State | Should -Be 'Stopped'
        $statuses[-1].Slot | Should -Be 'smcdr_pester'
        [SmcDr.Lsn]::Parse($statuses[-1].FlushedLsn) -ge $end | Should -BeTrue
    }

    It 'unwinds before Select-Object -First gives the prompt back' {
        $first = Start-SmcWalStream | Where-Object State -EQ 'Streaming' | Select-Object -First 1
        $first.State | Should -Be 'Streaming'
        # The server hears of the closed connection a moment later.
        Wait-Until 'the slot is free' { (Invoke-TestSql $server "select active from pg_replication_slots where slot_name = 'smcdr_pester'") -eq 'f' }
    }

    It 'ends after -Timeout, and fails with it where -Until was not reached' {
        (Start-SmcWalStream -Timeout 1s | Select-Object -Last 1).State | Should -Be 'Stopped'
        Assert-SmcError SmcOperationTimedOut { Start-SmcWalStream -Until FF/0 -Timeout 1s }
        Assert-SmcError SmcArgumentInvalid { Start-SmcWalStream -Until 'the end' }
        Assert-SmcError SmcArgumentInvalid { Start-SmcWalStream -Slot 'No Slot' }
    }

    It 'lets commits wait for the repository with -Synchronous, and go on when it ends' {
        $first = Start-SmcWalStream -Synchronous | Where-Object SynchronousState -EQ 'Synchronous' | Select-Object -First 1
        $first.BreachCount | Should -Be 0
        Invoke-TestSql $server 'show synchronous_standby_names' | Should -BeNullOrEmpty
        Assert-SmcError SmcArgumentInvalid { Start-SmcWalStream -SynchronousTimeout 5s -Once }
        Assert-SmcError SmcArgumentInvalid { Start-SmcWalStream -Synchronous -Slot '' -Once }
    }

    It 'takes a spill directory below the location of the session, and refuses what is none' {
        $root = (New-Item -ItemType Directory (Join-Path $TestDrive 'spilling')).FullName
        Push-Location $root
        try {
            $last = Start-SmcWalStream -Once -Timeout 60s -SpillDirectory spill -SpillLimit 100MB | Select-Object -Last 1
        }
        finally {
            Pop-Location
        }

        $last.SpillDirectory | Should -Be (Join-Path $root 'spill')
        $last.SpilledBytes | Should -Be 0
        Join-Path $root 'spill' | Should -Exist
        Assert-SmcError SmcTargetNotEmpty { Start-SmcWalStream -Once -SpillDirectory $root }
        Assert-SmcError SmcArgumentInvalid { Start-SmcWalStream -Once -SpillLimit 1GiB }
        (Start-SmcWalStream -Once -Timeout 60s -SpillDirectory '' | Select-Object -Last 1).SpilledBytes | Should -BeNullOrEmpty
    }

    It 'lists backups by id and by wildcard' {
        (Get-SmcBackup $backup.Id).Id | Should -Be $backup.Id
        (Get-SmcBackup).Id | Should -Be $backup.Id
        ($backup | Get-SmcBackup).Id | Should -Be $backup.Id
        (Get-SmcBackup '20*' -Component Database -State Complete, Damaged).Id | Should -Be $backup.Id
        Get-SmcBackup -Component Redis | Should -BeNullOrEmpty
        Get-SmcBackup '19*' | Should -BeNullOrEmpty
    }

    It 'says of an id that no backup has, and goes on' -ForEach @('20010101T000000Z-full', 'nonsense', '../database') {
        $found = Get-SmcBackup $_, $backup.Id -ErrorAction SilentlyContinue -ErrorVariable missing
        $found.Id | Should -Be $backup.Id
        $missing[0].FullyQualifiedErrorId | Should -Be 'SmcBackupNotFound,SmcDr.PowerShell.Commands.GetSmcBackupCommand'
        $missing[0].TargetObject | Should -Be $_
        Assert-SmcError SmcBackupNotFound { Get-SmcBackup $_ -ErrorAction Stop }
    }

    It 'completes the ids of backups, with age and size' {
        $line = "Restore-SmcDatabase -Site '$site' -BackupId 20"
        # The first press of the key may come too early for a slow store; the answer is there for a later one.
        Wait-Until 'the id is completed' { (Get-Completion $line).CompletionText -contains $backup.Id }
        (Get-Completion $line)[0].ToolTip | Should -BeLike '*Database*old*MiB*first of all*'
        (Get-Completion "Get-SmcBackup -Site '$TestDrive/none.yaml' -Id 20").CompletionText | Should -Not -Contain $backup.Id
    }

    It 'copies to another repository, and nothing twice' {
        $vault = Join-Path $server.Root 'vault'
        Copy-SmcBackup -Destination $vault -WhatIf | Should -BeNullOrEmpty
        Test-Path $vault | Should -BeFalse
        $copies = @(Get-SmcBackup -State Complete | Copy-SmcBackup -Destination $vault)
        $copies | ForEach-Object { $_ | Should -BeOfType [SmcDr.BackupCopyResult] }
        $copies.Id | Should -Be $backup.Id, $backup.SystemId
        $copies.State | Select-Object -Unique | Should -Be 'Complete'
        (Copy-SmcBackup $backup.Id $vault -Wal None).CopiedObjects | Should -Be 0
        Test-Path ([System.IO.Path]::Combine($vault, 'database', $backup.Id, 'complete')) | Should -BeTrue
        $none = Get-SmcBackup -State Damaged | Copy-SmcBackup -Destination $vault -WarningVariable nothing -WarningAction SilentlyContinue
        $none | Should -BeNullOrEmpty
        $nothing | Should -BeLike '*nothing is copied*'
        Assert-SmcError SmcBackupNotFound { Copy-SmcBackup 20010101T000000Z-full $vault -ErrorAction Stop }
        Assert-SmcError SmcArgumentInvalid { Copy-SmcBackup }
    }

    It 'refuses another database cluster' {
        $other = Open-TestServer
        try {
            $foreign = Save-TestSite $other -Repository $repository
            Assert-SmcError SmcSystemIdMismatch { Backup-SmcDatabase -Site $foreign -WarningAction SilentlyContinue }
            Assert-SmcError SmcSystemIdMismatch { Start-SmcWalStream -Site $foreign -Once }
        } finally {
            Close-TestServer $other
        }
        Get-SmcBackup -State Complete | Should -HaveCount 1
    }

    It 'lists the archived WAL and the recovery window' {
        $archive = Get-SmcWalArchive
        $archive | ForEach-Object { $_ | Should -BeOfType [SmcDr.WalSegmentInfo] }
        $archive.SystemId | Select-Object -Unique | Should -Be $backup.SystemId
        $window = Get-SmcRecoveryWindow
        $window.BackupId | Should -Be $backup.Id
        $window.EarliestTime | Should -Be $backup.StopTime
        $window.Gap | Should -BeNullOrEmpty
    }

    It 'tests the site, one result at a time, or in a word' {
        $results = @(Test-SmcSite)
        $results | ForEach-Object { $_ | Should -BeOfType [SmcDr.CheckResult] }
        $results.Name | Should -Contain 'DatabaseConnection'
        # A test server that writes nothing to its disk is no good one, and this check says so.
        ($results | Where-Object Outcome -EQ 'Failed').Name | Should -Be 'Fsync'
        Test-SmcSite -Quiet | Should -BeFalse
        $null = Invoke-TestSql $server 'alter system set fsync = on'
        $null = Invoke-TestSql $server 'select pg_reload_conf()'
        Wait-Until 'the setting is in force' { (Invoke-TestSql $server 'show fsync') -eq 'on' }
        Get-SmcSite pester | Test-SmcSite -Quiet | Should -BeTrue
    }
}

Describe 'Recovery' {
    BeforeAll {
        $splatStream = @{
            ScriptBlock  = {
                param($Module, $Site)
                Import-Module $Module
                Start-SmcWalStream -Site $Site
            }
            ArgumentList = $module, $site
        }
        $stream = Start-ThreadJob @splatStream
        $null = Invoke-TestSql $server 'insert into trades select i, md5(i::text) from generate_series(2001, 3000) i'
        $expected = Invoke-TestSql $server $digest
        $instant = Invoke-TestSql $server 'select to_char(clock_timestamp() at time zone ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'')'
        $null = Invoke-TestSql $server 'drop table trades'
        $end = [SmcDr.Lsn]::Parse((Invoke-TestSql $server 'create table later (id int); select pg_current_wal_flush_lsn()'))
        Wait-Until 'the WAL is in the repository' {
            $last = $stream.Output | Where-Object FlushedLsn | Select-Object -Last 1
            $stream.State -eq 'Failed' -or ($last -and [SmcDr.Lsn]::Parse($last.FlushedLsn) -ge $end)
        }
        $backup = Get-SmcBackup | Select-Object -Last 1
        $copy = Join-Path $server.Root 'copy'
    }

    AfterAll {
        $stream | Stop-Job -PassThru | Remove-Job
    }

    It 'has the stream as a job, beside which a second is refused, and which stops when it is told to' {
        $stream.State | Should -Be 'Running'
        $refusal = Assert-SmcError SmcStreamRunning { Start-SmcWalStream -Once -Slot 'smcdr_second' }
        $refusal | Out-String | Should -BeLike "*process $PID*"
        Stop-Job $stream
        $stream.State | Should -Be 'Stopped'
        Wait-Until 'the slot is free' { (Invoke-TestSql $server "select active from pg_replication_slots where slot_name = 'smcdr_pester'") -eq 'f' }
    }

    It 'refuses a target that says nothing certain: <Name>' -ForEach @(
        @{ Name = 'a time without zone'; Id = 'SmcTargetTimeAmbiguous'; Target = @{ TargetTime = '2026-11-05T10:00:00' } }
        @{ Name = 'a time of a culture'; Id = 'SmcTargetTimeAmbiguous'; Target = @{ TargetTime = '05/11/2026 10:00' } }
        @{ Name = 'a DateTime without zone'; Id = 'SmcTargetTimeAmbiguous'; Target = @{ TargetTime = [datetime]'2026-11-05T10:00:00' } }
        @{ Name = 'no time'; Id = 'SmcArgumentInvalid'; Target = @{ TargetTime = 'yesterday' } }
        @{ Name = 'no position'; Id = 'SmcArgumentInvalid'; Target = @{ TargetLsn = '123' } }
        @{ Name = 'no ordinary transaction'; Id = 'SmcArgumentInvalid'; Target = @{ TargetXid = 2 } }
    ) {
        # The site is looked at later: that it is not there is not what is told.
        Assert-SmcError $Id { Invoke-SmcPointInTimeRecovery @Target -Site (Join-Path $TestDrive 'none.yaml') -Confirm:$false }
    }

    It 'refuses what cannot be reached: <Name>' -ForEach @(
        @{ Name = 'before the window'; Id = 'SmcTargetOutsideWindow'; Target = @{ TargetTime = '-300d' } }
        @{ Name = 'behind the window'; Id = 'SmcTargetNotReached'; Target = @{ TargetTime = '2126-11-05T10:00:00Z' } }
        @{ Name = 'a position behind the end'; Id = 'SmcTargetOutsideWindow'; Target = @{ TargetLsn = 'FF/0' } }
        @{ Name = 'no such restore point'; Id = 'SmcTargetOutsideWindow'; Target = @{ TargetName = 'none' } }
        @{ Name = 'no such backup'; Id = 'SmcBackupNotFound'; Target = @{ Latest = $true; BackupId = '20010101T000000Z-full' } }
        @{ Name = 'another cluster'; Id = 'SmcBackupNotFound'; Target = @{ Latest = $true; SystemId = 7 } }
    ) {
        Assert-SmcError $Id { Invoke-SmcPointInTimeRecovery @Target -DataDirectory $copy -Confirm:$false }
        $copy | Should -Not -Exist
    }

    It 'refuses a backup of another cluster' {
        Assert-SmcError SmcSystemIdMismatch { Restore-SmcDatabase $backup.Id -SystemId 7 -DataDirectory $copy -Confirm:$false }
    }

    It 'refuses a directory in which a server runs, also with -Force' {
        Assert-SmcError SmcTargetInUse { Invoke-SmcPointInTimeRecovery $instant -Force -Confirm:$false }
        Assert-SmcError SmcTargetInUse { Restore-SmcDatabase -Force -Confirm:$false }
        Invoke-TestSql $server 'select 1' | Should -Be '1'
    }

    It 'shows the plan with -WhatIf and changes nothing' {
        Suspend-TestServer $server
        Assert-SmcError SmcTargetNotEmpty { Invoke-SmcPointInTimeRecovery $instant -WhatIf }
        $before = Get-DirectoryState $server.Root
        $text = Get-HostText {
            Invoke-SmcPointInTimeRecovery -TargetTime $instant -Force -WhatIf | Should -BeNullOrEmpty
        }
        Get-DirectoryState $server.Root | Should -Be $before
        $text | Should -BeLike "*$($server.DataDirectory)*$($backup.Id)*Move*aside*Promote*"
        $text | Should -BeLike "*$($instant.Substring(0, 10)) $($instant.Substring(11, 15)) UTC*" -Because 'the instant is echoed in UTC'
    }

    It 'recovers to the instant before the loss' {
        $result = Invoke-SmcPointInTimeRecovery -TargetTime $instant -Force -Confirm:$false -WarningAction SilentlyContinue
        $result | Should -BeOfType [SmcDr.RecoveryResult]
        $result.TargetKind | Should -Be 'Time'
        $result.BackupId | Should -Be $backup.Id
        $result.Timeline | Should -Be 2
        $result.ServerRunning | Should -BeTrue
        $result.PreviousDataDirectory | Should -Exist
        Invoke-TestSql $server $digest | Should -Be $expected
        Invoke-TestSql $server 'select to_regclass(''later'') is null' | Should -Be 't'
    }

    It 'restores the backup that comes through the pipeline, beside the running server' {
        $result = Get-SmcBackup $backup.Id | Restore-SmcDatabase -DataDirectory $copy -Immediate -NoStart -Confirm:$false -WarningAction SilentlyContinue
        $result.BackupId | Should -Be $backup.Id
        $result.TargetKind | Should -Be 'Immediate'
        $result.ServerRunning | Should -BeFalse
        Join-Path $copy 'PG_VERSION' | Should -Exist
    }

    It 'makes the copy right in place with -Delta, and asks before it does' {
        $text = Get-HostText { Restore-SmcDatabase $backup.Id -DataDirectory $copy -Immediate -Delta -NoStart -Force -WhatIf | Should -BeNullOrEmpty }
        $text | Should -BeLike '*no copy of it stays*'
        $result = Restore-SmcDatabase $backup.Id -DataDirectory $copy -Immediate -Delta -NoStart -Confirm:$false -WarningAction SilentlyContinue
        $result.KeptBytes | Should -BeGreaterThan $result.FetchedBytes
        $result.PreviousDataDirectory | Should -BeNullOrEmpty
    }

    It 'refuses a side instance without a directory of its own, and a port without a side instance' {
        Assert-SmcError SmcArgumentInvalid { Restore-SmcDatabase -AsSideInstance -Confirm:$false }
        Assert-SmcError SmcArgumentInvalid { Restore-SmcDatabase -Port 5433 -DataDirectory $copy -Confirm:$false }
    }

    It 'refuses exports that go nowhere, and says with -WhatIf what one would do' {
        Assert-SmcError SmcArgumentInvalid { Export-SmcTable later -Database postgres }
        $file = Join-Path $TestDrive 'later.csv'
        $text = Get-HostText { Export-SmcTable later -Database postgres -At $instant -OutFile $file -WhatIf | Should -BeNullOrEmpty }
        $text | Should -BeLike "*later*$file*"
        $file | Should -Not -Exist
    }

    It 'tests the recovery on a server that is thrown away, and lists what it certified' {
        Get-HostText { Test-SmcRecovery -QueriesOnly -WhatIf | Should -BeNullOrEmpty } | Should -BeLike '*certify*'
        Get-SmcRecoveryTest | Should -BeNullOrEmpty
        $result = Get-SmcBackup $backup.Id | Test-SmcRecovery -QueriesOnly
        $result | Should -BeOfType [SmcDr.RecoveryTestResult]
        $result.Outcome | Should -Be 'Passed' -Because ($result.Checks.Message -join ' ')
        $result.BackupId | Should -Be $backup.Id
        ($result | Out-String -Width 120) | Should -BeLike "*Passed*$($result.TestId)*"
        $known = Get-SmcRecoveryTest
        $known.TestId | Should -Be $result.TestId
        $known.RecoverySeconds | Should -Be $result.RecoverySeconds
        Test-SmcRecovery -QueriesOnly -Quiet | Should -BeTrue
        Get-SmcRecoveryTest -First 1 | Should -HaveCount 1
        Assert-SmcError SmcBackupNotFound { Test-SmcRecovery 20200101T000000Z-full }
    }

    It 'restores nothing where the pipeline brings no backup, and refuses two' {
        $nowhere = Join-Path $server.Root 'nowhere'
        Get-SmcBackup '19*' | Restore-SmcDatabase -DataDirectory $nowhere -Confirm:$false -WarningVariable told -WarningAction SilentlyContinue
        $told | Should -BeLike '*nothing is restored*'
        $two = $backup, [pscustomobject]@{ BackupId = '20010101T000000Z-full' }
        Assert-SmcError SmcArgumentInvalid { $two | Restore-SmcDatabase -DataDirectory $nowhere -Confirm:$false }
        $nowhere | Should -Not -Exist
    }
}
