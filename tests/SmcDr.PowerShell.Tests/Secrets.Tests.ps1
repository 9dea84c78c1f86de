#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# Secrets are planted wherever a site can have one, the cmdlets walk over it with every stream open, and nothing that is said, written or started may hold one.

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess

    # What is walked. Each runs in a runspace of its own, so that all its streams can be read, progress too; what fails is what is looked at as well.
    $walk = @(
        'Test-SmcSite'
        'Enable-SmcPointInTimeRecovery -RoleCredential $role -WhatIf'
        'Enable-SmcPointInTimeRecovery -RoleCredential $role -Confirm:$false'
        'Backup-SmcDatabase -Confirm:$false'
        'Backup-SmcDatabase -Method Logical -Confirm:$false'
        'Backup-SmcRedis -Confirm:$false'
        'Backup-SmcFileStore -Confirm:$false'
        'Backup-SmcSystem -Label nightly -Confirm:$false'
        'Start-SmcWalStream -Once -Confirm:$false'
        'Get-SmcBackup | Test-SmcBackup -Deep'
        'Test-SmcSystem'
        'Get-SmcRecoveryWindow; Get-SmcWalArchive; Measure-SmcObjective; Get-SmcRegion; Get-SmcRepositoryKey; Get-SmcRunbook; Find-SmcTransaction'
        'Copy-SmcBackup -Destination "$root/vault"'
        'Start-SmcIncident "It fails with password=$database and token=$hook"'
        'Add-SmcIncidentNote "The connection was Host=db;Username=postgres;Password=$database"'
        'Restore-SmcRedis -Confirm:$false'
        'Restore-SmcRedis -Endpoint $redisAddress -Credential $redisCredential -Confirm:$false'
        'Restore-SmcRedis -Endpoint $redisAddress -Credential $wrongCredential -Confirm:$false'
        'Restore-SmcDatabase -Immediate -DataDirectory "$root/side" -NoStart -LeaveWriters -Confirm:$false'
        'Restore-SmcSystem -Component Redis, FileStore -Confirm:$false'
        'Get-SmcBackup -Component Database | Where-Object Kind -EQ Logical | Select-Object -First 1 | Restore-SmcDatabase -Database orders -TargetDatabase orders_beside -Confirm:$false'
        'Test-SmcRecovery -QueriesOnly -WorkDirectory $root -NoAlert'
        'Export-SmcTable public.trades -Database postgres -OutFile "$root/trades.csv" -WorkDirectory $root -Confirm:$false'
        'Send-SmcAlert "Disk full" "password=$database, by https://hooks.slack.com/services/$hook"'
        'Send-SmcHeartbeat'
        'Stop-SmcIncident "Over. passphrase: $phrase" -RootCause "password: $redis"'
        'Get-SmcIncident | Export-SmcReport "$root/incident.html"; Get-SmcIncident | Export-SmcReport "$root/incident.md"'
        'Get-SmcIncident; Get-SmcPlan; Get-SmcRecoveryTest'
        'Register-SmcSchedule -Kind SystemdTimer -Program /usr/bin/smcdr -OutputDirectory "$root/units"'
        'Register-SmcSchedule -Kind Crontab -Program /usr/bin/smcdr -OutputDirectory "$root/cron"'
        'Register-SmcSchedule -Kind CronJob -Site "$root/cluster.yaml" -OutputDirectory "$root/cronjobs"'
        'New-SmcRepositoryKey -Passphrase $other -Name other'
        'New-SmcRepositoryKey -Passphrase $short -Name short'
        'Update-SmcRepositoryKey -Passphrase $other -Confirm:$false'
        'Remove-SmcRepositoryKey other -Confirm:$false'
        'Backup-SmcFileStore -Site "$root/bucket.yaml" -Confirm:$false; Get-SmcBackup -Site "$root/bucket.yaml" | Test-SmcBackup'
        'Backup-SmcFileStore -Site "$root/gone-bucket.yaml" -Confirm:$false'
        'Test-SmcSite "$root/bucket.yaml"'
        'Start-SmcWalStream -Site "$root/vaulted.yaml" -Once -Confirm:$false'
        'Backup-SmcDatabase -Site "$root/wrong.yaml" -Confirm:$false'
        'Backup-SmcRedis -Site "$root/wrong.yaml" -Confirm:$false'
        'Get-SmcBackup -Site "$root/wrong.yaml"'
        'Test-SmcSite "$root/wrong.yaml"; Test-SmcSystem -Site "$root/wrong.yaml"; Measure-SmcObjective -Site "$root/wrong.yaml"; Get-SmcRegion -Site "$root/wrong.yaml"'
        'Send-SmcAlert "Disk full" -Site "$root/wrong.yaml" -Timeout 2s'
        'Get-SmcBackup -Site "$root/literal-database.yaml"'
        'Get-SmcBackup -Site "$root/literal-password.yaml"'
        'Get-SmcBackup -Site "$root/literal-hook.yaml"'
        'Get-SmcBackup -Site "$root/literal-key.yaml"'
        'Get-SmcBackup -Site "$root/literal-bucket.yaml"'
    ) | ForEach-Object { @{ Code = $_ } }
}

Describe 'A parameter that takes a secret' {
    It 'is a PSCredential or a SecureString' {
        $named = foreach ($command in Get-Command -Module SmcDr -CommandType Cmdlet) {
            $command.Parameters.Values | Where-Object { $_.Name -match 'Password|Passphrase|Secret|Token|Credential' -and -not $_.SwitchParameter } |
                ForEach-Object { @{ Name = "$($command.Name) -$($_.Name)"; Type = $_.ParameterType } }
        }
        $named.Name | Should -Contain 'Restore-SmcRedis -Credential'
        $named.Name | Should -Contain 'Enable-SmcPointInTimeRecovery -RoleCredential'
        $named.Name | Should -Contain 'New-SmcRepositoryKey -Passphrase'
        $named | Where-Object { $_.Type -notin [pscredential], [securestring], [securestring[]] } | ForEach-Object Name | Should -BeNullOrEmpty
    }
}

Describe 'Secrets' -Skip:$cannot {
    BeforeAll {
        Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
        foreach ($file in 'Assertions', 'PostgresServer', 'RedisServer', 'AlertReceiver', 'DnsServers', 'TestSystem') {
            . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', "$file.ps1"))
        }

        Import-Module (Get-SmcModulePath) -Global

        # Planted: each is a text that stands nowhere else.
        $planted = @{}
        foreach ($name in 'hook', 'phrase', 'other', 'wrongDatabase', 'wrongRedis', 'wrongHook', 'wrongPhrase', 'role', 'bucket', 'bucketId', 'session', 'literal', 'wrongCredential') {
            $planted[$name] = "planted$([guid]::NewGuid().ToString('N'))"
        }

        $system = Open-TestSystem -Name pester-secrets -Token $planted.hook
        $root = $system.Root
        $planted.database = $system.Server.Secret
        $planted.redis = $system.Redis.Secret
        $environmentBefore = @{}
        foreach ($name in 'SMCDR_PLANTED_DATABASE', 'SMCDR_PLANTED_REDIS', 'SMCDR_PLANTED_HOOK', 'SMCDR_PLANTED_PHRASE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN') {
            $environmentBefore[$name] = [Environment]::GetEnvironmentVariable($name)
        }

        $moto = Open-TestDnsServer
        Set-Content -LiteralPath (Join-Path $root 'phrase') -Value $planted.phrase
        chmod 600 (Join-Path $root 'phrase')

        # PostgreSQL's programs behind scripts that note what they are started with.
        $programs = (New-Item -ItemType Directory -Path (Join-Path $root 'programs')).FullName
        $started = Join-Path $root 'started'
        Set-Content -LiteralPath $started -Value ''
        foreach ($program in Get-ChildItem -LiteralPath (Get-PostgresBin) -File) {
            $script = Join-Path $programs $program.Name
            Set-Content -LiteralPath $script -Value "#!/bin/sh`nprintf '%s\n' `"`$0 `$*`" >> '$started'`nexec '$($program.FullName)' `"`$@`""
            chmod 755 $script
        }

        chmod 777 $programs
        chmod 666 $started
        $text = Get-Content -LiteralPath $system.Site -Raw
        $text = $text.Replace("binDirectory: $(Get-PostgresBin)", "binDirectory: $programs")
        Set-Content -LiteralPath $system.Site -Value $text.Replace("  retention:", "  encryptionKey: file:$root/phrase`n  retention:")

        $environment = @{
            SMCDR_PLANTED_DATABASE = $planted.wrongDatabase
            SMCDR_PLANTED_REDIS    = $planted.wrongRedis
            SMCDR_PLANTED_HOOK     = "http://127.0.0.1:$(Get-FreePort)/$($planted.wrongHook)"
            SMCDR_PLANTED_PHRASE   = $planted.wrongPhrase
            AWS_ACCESS_KEY_ID      = $planted.bucketId
            AWS_SECRET_ACCESS_KEY  = $planted.bucket
            AWS_SESSION_TOKEN      = $planted.session
        }
        foreach ($name in $environment.Keys) {
            [Environment]::SetEnvironmentVariable($name, $environment[$name])
        }

        function Save-Site([string] $Name, [string] $Text) {
            Set-Content -LiteralPath (Join-Path $root "$Name.yaml") -Value "name: $Name`n$Text"
        }

        Save-Site wrong $text.Replace("file:$($system.Server.SecretFile)", 'env:SMCDR_PLANTED_DATABASE').Replace(
            "file:$($system.Redis.SecretFile)", 'env:SMCDR_PLANTED_REDIS').Replace('env:SMCDR_TEST_SYSTEM_HOOK', 'env:SMCDR_PLANTED_HOOK').Replace(
            '  retention:', "  encryptionKey: env:SMCDR_PLANTED_PHRASE`n  retention:").Replace("name: $($system.Name)`n", '')
        $files = "regions: { here: { role: primary } }`nfileStores: [ { name: logs, path: `"$($system.Logs)`" } ]"
        $null = Invoke-WebRequest -Uri "$($moto.Endpoint)/planted" -Method Put -SkipHeaderValidation -Headers @{
            Authorization = 'AWS4-HMAC-SHA256 Credential=smcdr-tests/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0'
        }
        $endpoint = "region=us-east-1&endpoint=$([uri]::EscapeDataString($moto.Endpoint))&pathStyle=true"
        Save-Site bucket "repository: { location: `"s3://planted/one?$endpoint`" }`n$files"
        Save-Site gone-bucket "repository: { location: `"s3://not-there/one?$endpoint`" }`n$files"
        Save-Site literal-bucket "repository: { location: `"s3://$($planted.literal):$($planted.literal)@planted/one?$endpoint`" }`n$files"
        Save-Site literal-hook "repository: { location: `"file://$root/literal`" }`n$files`nnotifications: [ { name: hook, webhook: `"https://hooks.example.test/$($planted.literal)`" } ]"
        Save-Site literal-key "repository: { location: `"file://$root/literal`", encryptionKey: $($planted.literal) }`n$files"
        Save-Site literal-database "repository: { location: `"file://$root/literal`" }`nregions: { here: { role: primary, database: { connection: `"Host=127.0.0.1;Password=$($planted.literal)`" } } }"
        Save-Site literal-password "repository: { location: `"file://$root/literal`" }`nregions: { here: { role: primary, database: { connection: `"Host=127.0.0.1`", password: $($planted.literal) } } }"
        Save-Site vaulted ((Get-Content -LiteralPath $system.Site -Raw).Replace("file:$($system.Server.SecretFile)", 'secret:vault/database').Replace("name: $($system.Name)`n", ''))
        Save-Site cluster @"
repository: { location: "s3://planted/one?$endpoint", encryptionKey: "k8s:default/smcdr/key" }
regions:
  here:
    role: primary
    kubernetes: { namespace: default, job: { image: "smcdr:none" } }
    redis: { endpoint: "redis:6379", password: "k8s:default/redis/password" }
schedules: { redis: "0 3 * * *" }
"@

        # A vault with the command of Microsoft.PowerShell.SecretManagement: the module itself may not be here, so this is a fake of it.
        $vault = (New-Item -ItemType Directory -Path ([System.IO.Path]::Combine($root, 'modules', 'Microsoft.PowerShell.SecretManagement'))).FullName
        Set-Content -LiteralPath (Join-Path $vault 'Microsoft.PowerShell.SecretManagement.psm1') -Value @"
function Get-Secret {
    [CmdletBinding()]
    param(`$Vault, `$Name, [switch] `$AsPlainText)
    [System.IO.File]::ReadAllText('$($system.Server.SecretFile)').Trim()
}
"@
        $modulesBefore = $env:PSModulePath
        $env:PSModulePath = (Join-Path $root 'modules') + [System.IO.Path]::PathSeparator + $modulesBefore

        function ConvertTo-Credential([string] $User, [string] $Secret) {
            [pscredential]::new($User, [System.Net.NetworkCredential]::new('', $Secret).SecurePassword)
        }

        $variables = @{
            root            = $root
            database        = $planted.database
            redis           = $planted.redis
            hook            = $planted.hook
            phrase          = $planted.phrase
            redisAddress    = "127.0.0.1:$($system.Redis.Port)"
            role            = ConvertTo-Credential streamer $planted.role
            redisCredential = ConvertTo-Credential default $planted.redis
            wrongCredential = ConvertTo-Credential default $planted.wrongCredential
            other           = [System.Net.NetworkCredential]::new('', $planted.other).SecurePassword
            short           = [System.Net.NetworkCredential]::new('', $planted.other.Substring(0, 10)).SecurePassword
        }

        # The arguments of all processes, looked at for as long as the walk lasts.
        $watcher = Start-ThreadJob -ScriptBlock {
            $texts = ($using:planted).Values
            $seen = [System.Collections.Generic.HashSet[string]]::new()
            'watching'
            while ($true) {
                foreach ($process in [System.IO.Directory]::EnumerateDirectories('/proc')) {
                    if ($process -notmatch '/\d+$') {
                        continue
                    }

                    try {
                        $line = [System.IO.File]::ReadAllText("$process/cmdline").Replace("`0", ' ')
                    } catch {
                        continue
                    }

                    if (($texts | Where-Object { $line.Contains($_) }) -and $seen.Add($line)) {
                        $line
                    }
                }
            }
        }
        Wait-Until 'the watcher looks' { $watcher.Output.Count -gt 0 }

        function Find-Planted([string] $Text) {
            $planted.GetEnumerator() | Where-Object { $Text.Contains($_.Value, [System.StringComparison]::OrdinalIgnoreCase) } | ForEach-Object Key
        }

        # All that a script says on any stream, and all that can be got out of its errors.
        function Get-AllSaid([string] $Code) {
            $shell = [powershell]::Create()
            try {
                $session = $shell.Runspace.SessionStateProxy
                foreach ($pair in $variables.GetEnumerator()) {
                    $session.SetVariable($pair.Key, $pair.Value)
                }

                $null = $shell.AddScript("Import-Module '$(Get-SmcModulePath)'; Set-SmcSite '$($system.Site)'").Invoke()
                $shell.Commands.Clear()
                $shell.Streams.ClearStreams()
                $prefix = '$VerbosePreference = $DebugPreference = $InformationPreference = $ProgressPreference = ''Continue''; '
                $failure = $null
                $output = @()
                try {
                    $output = $shell.AddScript($prefix + $Code).Invoke()
                } catch {
                    $failure = $_.Exception.InnerException
                }

                $errors = @($shell.Streams.Error) + @($failure -is [System.Management.Automation.RuntimeException] ? $failure.ErrorRecord : @())
                $parts = @(
                    $output | Format-List -Property * -Force | Out-String -Width 4000
                    $output | Format-Table | Out-String -Width 400
                    $output | ForEach-Object { ConvertTo-Json -InputObject $_ -Depth 6 -WarningAction Ignore }
                    foreach ($record in $errors) {
                        "$record $($record.ErrorDetails) $($record.Exception)"
                        $record | Format-List -Property * -Force | Out-String -Width 4000
                        Get-Error -InputObject $record | Out-String -Width 4000
                    }
                    "$failure"
                    foreach ($stream in $shell.Streams.Warning, $shell.Streams.Verbose, $shell.Streams.Debug, $shell.Streams.Information) {
                        $stream | ForEach-Object { "$_" }
                    }
                    $shell.Streams.Progress | ForEach-Object { "$($_.Activity) $($_.StatusDescription) $($_.CurrentOperation)" }
                )
                [pscustomobject]@{ Text = $parts -join "`n"; Errors = $errors | ForEach-Object FullyQualifiedErrorId; Count = @($output).Count }
            } finally {
                $shell.Dispose()
            }
        }

        $succeeded = [System.Collections.Generic.List[string]]::new()
        $failed = [System.Collections.Generic.List[string]]::new()
    }

    AfterAll {
        if ($watcher) {
            $watcher | Stop-Job -PassThru | Remove-Job
        }

        if ($null -ne $modulesBefore) {
            $env:PSModulePath = $modulesBefore
        }

        if ($moto) {
            Close-TestDnsServer $moto
        }

        foreach ($name in $environmentBefore.Keys) {
            [Environment]::SetEnvironmentVariable($name, $environmentBefore[$name])
        }

        if ($system) {
            Close-TestSystem $system
        }
    }

    It 'are seen where something does tell them' {
        Find-Planted (Get-AllSaid 'Write-Verbose "it is $database"').Text | Should -Be 'database'
        Find-Planted (Get-AllSaid 'Write-Progress -Activity a -Status $hook').Text | Should -Be 'hook'
        Find-Planted (Get-AllSaid 'Write-Error "no $redis"').Text | Should -Be 'redis'
        Find-Planted (Get-AllSaid 'throw "no $redis"').Text | Should -Be 'redis'
        $before = $watcher.Output.Count
        $teller = Start-Process -FilePath sh -ArgumentList '-c', "`"sleep 60; : $($planted.session)`"" -PassThru
        try {
            Wait-Until 'the watcher has seen it' { $watcher.Output.Count -gt $before }
        } finally {
            $teller.Kill($true)
            $teller.WaitForExit()
        }
    }

    It 'are told by none of its streams: <Code>' -ForEach $walk {
        $said = Get-AllSaid $Code
        Find-Planted $said.Text | Should -BeNullOrEmpty
        ($said.Errors ? $failed : $succeeded).Add("$Code $($said.Errors)")
    }

    It 'were walked over by commands of which most succeeded, and which failed as they were meant to' {
        $failed | Where-Object { $_ -match 'InternalError|ParameterBinding|CommandNotFound' } | Should -BeNullOrEmpty
        $failed | Where-Object { $_ -match '^(Register|Export|Stop-SmcIncident)' } | Should -BeNullOrEmpty
        $succeeded.Count | Should -BeGreaterOrEqual 32 -Because ($failed -join "`n")
        foreach ($id in 'SmcAuthenticationFailed', 'SmcSiteInvalid', 'SmcKeyWrong', 'SmcAlertNotDelivered') {
            $failed -match $id | Should -Not -BeNullOrEmpty -Because "the walk is to meet $id, and it met $($failed -join "`n")"
        }
    }

    It 'stand in no argument of a program' {
        $arguments = Get-Content -LiteralPath $started -Raw
        $arguments | Should -Match 'pg_dump'
        Find-Planted $arguments | Should -BeNullOrEmpty
        # What 'are seen' started itself is the one thing that the watcher may have seen.
        $watcher.Output | Where-Object { $_ -ne 'watching' -and $_ -notmatch 'sleep 60' } | Should -BeNullOrEmpty
    }

    It 'stand in no file: repositories, journals, reports, schedules, states and logs' {
        $allowed = $system.Server.SecretFile, $system.Redis.SecretFile, $system.Redis.Configuration, (Join-Path $root 'phrase')
        $data = "$($system.Server.DataDirectory)/", "$root/side/", "$root/smcdr-side-"
        $files = Get-ChildItem -LiteralPath $root, $system.Redis.Root, $moto.Root -Recurse -File -Force | Where-Object {
            $path = $_.FullName
            $path -notin $allowed -and $_.Name -notlike 'literal-*.yaml' -and -not ($data | Where-Object { $path.StartsWith($_) })
        }
        $files.Name | Should -Contain 'incident.html'
        $files.Name | Should -Contain 'server.log'
        $files.FullName -match '/cronjobs/' | Should -Not -BeNullOrEmpty
        $telling = foreach ($file in $files) {
            $found = Find-Planted ([System.Text.Encoding]::Latin1.GetString([System.IO.File]::ReadAllBytes($file.FullName)))
            if ($found) {
                "$($file.FullName): $($found -join ', ')"
            }
        }
        # Who can read moto's log is asked for by its client's own headers: it is the other side, and no part of what is tested.
        $telling | Where-Object { $_ -notlike "*$($moto.Root)/moto*" } | Should -BeNullOrEmpty
    }

    It 'stand in no document of a repository that is not encrypted either' {
        $plain = Join-Path $root 'plain.yaml'
        Set-Content -LiteralPath $plain -Value $text.Replace("file://$($system.Repository)", "file://$root/plain").Replace("name: $($system.Name)", 'name: pester-plain')
        foreach ($code in 'Backup-SmcSystem', 'Start-SmcIncident "password=$database" -NoAlert', 'Restore-SmcSystem -Component Redis -Confirm:$false',
            'Restore-SmcFileStore config -BackupId 20200101T000000Z-none -Confirm:$false', 'Stop-SmcIncident "secret: $phrase" -NoAlert') {
            Find-Planted (Get-AllSaid "$code -Site '$plain'").Text | Should -BeNullOrEmpty
        }

        $documents = Get-ChildItem -LiteralPath (Join-Path $root 'plain') -Recurse -File
        $documents.FullName -match '/incidents/' | Should -Not -BeNullOrEmpty
        $documents.FullName -match '/journal' | Should -Not -BeNullOrEmpty
        foreach ($file in $documents) {
            Find-Planted ([System.Text.Encoding]::Latin1.GetString([System.IO.File]::ReadAllBytes($file.FullName))) | Should -BeNullOrEmpty -Because $file.FullName
        }
    }
}
