#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# What the Tab key offers, from a real site; and that it offers nothing, in silence, where something is away.

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess

    # Names that only a site or its repository knows. 'Name' is of a file store, a workload, a region or a key, or a name of DNS, which nobody lists.
    $wanted = foreach ($command in Get-Command -Module SmcDr -CommandType Cmdlet) {
        $command.Parameters.Values | Where-Object {
            $_.Name -in 'Site', 'Region', 'BackupId', 'PlanId', 'Id', 'Channel', 'Task' -or
            ($_.Name -eq 'Database' -and $_.ParameterType -ne [int[]]) -or
            ($_.Name -eq 'Name' -and $command.Noun -in 'SmcFileStore', 'SmcWorkload', 'SmcRegion', 'SmcRepositoryKey', 'SmcSite' -and $command.Verb -ne 'New')
        } | ForEach-Object { @{ Command = $command.Name; Parameter = $_.Name; Attributes = @($_.Attributes) } }
    }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    foreach ($file in 'Assertions', 'PostgresServer', 'RedisServer', 'AlertReceiver', 'TestSystem') {
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', "$file.ps1"))
    }

    Import-Module (Get-SmcModulePath) -Global
}

Describe 'A name that a site knows' {
    It 'is completed by <Command> -<Parameter>' -ForEach $wanted {
        $Attributes | Where-Object { $_ -is [System.Management.Automation.ArgumentCompleterAttribute] } | Should -Not -BeNullOrEmpty
    }
}

Describe 'Completion' -Skip:$cannot {
    BeforeAll {
        $system = Open-TestSystem -Name pester-tab -More 'writers: [ deployment/trading-engine, deployment/api-gateway ]'
        Set-SmcSite $system.Site
        $null = Backup-SmcDatabase -Confirm:$false
        $dump = Backup-SmcDatabase -Method Logical -Label nightly -Confirm:$false
        $null = Invoke-TestSql $system.Server 'drop database orders'
        $incident = Start-SmcIncident 'Rows are gone' -NoAlert
        $null = Backup-SmcRedis -Confirm:$false
        $null = Restore-SmcSystem -Component Redis -Confirm:$false
        $plan = Get-SmcPlan
        $key = (New-SmcRepositoryKey (Join-Path $system.Root 'repository.key')).Path
        $keySite = Join-Path $system.Root 'keys.yaml'
        Set-Content -LiteralPath $keySite -Value @"
name: pester-keys
repository: { location: "file://$($system.Root)/encrypted", encryptionKey: "file:$key" }
regions: { here: { role: primary } }
fileStores: [ { name: logs, path: "$($system.Logs)" } ]
"@
        $null = Backup-SmcFileStore -Site $keySite -Confirm:$false

        # What is there at last: a busy machine may need a second press of the key.
        function Get-Offer([string] $Line, [string] $For = '*') {
            Wait-Until "'$Line' is completed" { @((Get-Completion $Line).CompletionText) -like $For -ne 'nothing' }
            Get-Completion $Line
        }
    }

    AfterAll {
        if ($system) {
            Close-TestSystem $system
        }
    }

    It 'offers the sites of the session' {
        (Get-Offer 'Backup-SmcDatabase -Site pester-ta').CompletionText | Should -Be 'pester-tab'
    }

    It 'offers regions, with their roles' {
        $offer = Get-Offer 'Get-SmcRegion '
        $offer.CompletionText | Should -Be 'here'
        $offer.ToolTip | Should -BeLike 'Primary*'
    }

    It 'offers backups, the newest first, with age and size' {
        $offer = Get-Offer 'Restore-SmcDatabase 20' '20*'
        $offer.CompletionText | Should -Be (Get-SmcBackup | Sort-Object StartTime -Descending).Id
        ($offer | Where-Object CompletionText -EQ $dump.Id).ToolTip | Should -Match '^Database, Logical, Complete, .+ old, [\d.]+ [KMi]*B, nightly$'
    }

    It 'offers databases, those of the server and those that only a backup has' {
        $offer = Get-Offer 'Invoke-SmcDatabaseRecovery ' 'postgres'
        $offer.CompletionText | Should -Be 'orders', 'postgres'
        $offer[0].ToolTip | Should -Be "in the backup $($dump.Id)"
        $offer[1].ToolTip | Should -BeLike 'on 127.0.0.1:*'
    }

    It 'offers workloads, channels and tasks of schedules' {
        (Get-Offer 'Suspend-SmcWorkload ').CompletionText | Should -Be 'deployment/trading-engine', 'deployment/api-gateway'
        (Get-Offer 'Send-SmcAlert "Disk full" -Channel ').CompletionText | Should -Be 'hook'
        (Get-Offer 'Register-SmcSchedule da').CompletionText | Should -Be 'database'
        (Get-Offer 'Backup-SmcFileStore ').CompletionText | Should -Be 'config', 'logs'
    }

    It 'offers the scenarios, as PowerShell does for an enumeration' {
        (Get-Offer 'Invoke-SmcRunbook ').CompletionText | Where-Object { $_ -ne 'Other' } | Should -Be ((Get-SmcRunbook).Scenario | Sort-Object { "$_" })
    }

    It 'offers plans and incidents, with what they are' {
        $offer = Get-Offer 'Get-SmcPlan 20' '20*'
        $offer.CompletionText | Should -Be $plan.PlanId
        $offer.ToolTip | Should -BeLike 'Succeeded, * of * steps, *'
        $offer = Get-Offer 'Get-SmcIncident 20' '20*'
        $offer.CompletionText | Should -Be $incident.IncidentId
        $offer.ToolTip | Should -BeLike 'Open, Critical, Rows are gone, *'
    }

    It 'offers who can open a repository, without its key' {
        Rename-Item -LiteralPath $key -NewName 'elsewhere'
        $offer = Get-Offer "Remove-SmcRepositoryKey -Site '$keySite' -Name " 'key*'
        $offer.CompletionText | Should -HaveCount 1
        $offer.ToolTip | Should -BeLike 'KeyFile, made 20*'
    }

    It 'offers nothing, without an error, where <What>' -ForEach @(
        @{ What = 'the site file is not there'; Text = $null }
        @{ What = 'the site file is wrong'; Text = 'nme: x' }
        @{ What = 'there is no repository, and no server'; Text = "name: x`nrepository: { location: file:///nowhere/at/all }`nregions: { here: { role: primary, database: { connection: `"Host=127.0.0.1;Port=1`" } } }" }
        @{ What = 'a secret would have to be asked for'; Text = "name: x`nrepository: { location: file:///nowhere, encryptionKey: secret:vault/key }`nregions: { here: { role: primary, database: { connection: `"Host=127.0.0.1;Port=1`", password: secret:vault/database } } }" }
    ) {
        $path = Join-Path $TestDrive "$([guid]::NewGuid()).yaml"
        if ($Text) {
            Set-Content -LiteralPath $path -Value $Text
        }

        # A vault would open a window; who is asked says so.
        function global:Get-Secret { $env:SMCDR_TEST_ASKED = 'yes' }
        $Error.Clear()
        try {
            foreach ($line in 'Restore-SmcDatabase -BackupId ', 'Invoke-SmcDatabaseRecovery -Database ', 'Get-SmcPlan -PlanId ', 'Get-SmcIncident -Id ', 'Remove-SmcRepositoryKey -Name ',
                'Suspend-SmcWorkload -Name ', 'Send-SmcAlert -Channel ', 'Backup-SmcFileStore -Name ') {
                $command, $parameter = $line.Trim() -split ' '
                (Get-Completion "$command -Site '$path' $parameter ").CompletionText | Should -Be 'nothing' -Because $line
            }
        } finally {
            Remove-Item -LiteralPath function:global:Get-Secret
            $asked = $env:SMCDR_TEST_ASKED
            $env:SMCDR_TEST_ASKED = ''
        }

        $Error | Should -BeNullOrEmpty
        $asked | Should -BeNullOrEmpty
    }

    It 'gives up before a server that never answers does, asks it once, and offers what comes later' {
        $silent = [System.Net.Sockets.TcpListener]::new([System.Net.IPAddress]::Loopback, 0)
        $silent.Start()
        try {
            $path = Join-Path $TestDrive 'silent.yaml'
            Set-Content -LiteralPath $path -Value @"
name: pester-silent
repository: { location: "file://$($system.Repository)" }
regions: { here: { role: primary, database: { connection: "Host=127.0.0.1;Port=$($silent.LocalEndpoint.Port);Username=postgres;SSL Mode=Disable;Timeout=10" } } }
"@
            $line = "Invoke-SmcDatabaseRecovery -Site '$path' -Database "
            (Get-Completion $line).CompletionText | Should -Be 'nothing'
            Wait-Until 'it was asked' { $silent.Pending() }
            $client = $silent.AcceptTcpClient()
            # It still waits for the answer, and the prompt does not.
            $client.Client.Poll(0, [System.Net.Sockets.SelectMode]::SelectRead) -and $client.Available -eq 0 | Should -BeFalse
            (Get-Completion $line).CompletionText | Should -Be 'nothing'
            $silent.Pending() | Should -BeFalse
            $client.Dispose()
            (Get-Offer $line 'orders').CompletionText | Should -Contain 'orders'
        } finally {
            $silent.Stop()
        }
    }
}
