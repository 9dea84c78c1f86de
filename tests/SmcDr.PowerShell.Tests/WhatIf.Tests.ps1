#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# Every cmdlet that changes something is run with -WhatIf on real servers: it must say what it would do, and all must stay as it is.

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
    $changing = Get-Command -Module SmcDr -CommandType Cmdlet | Where-Object { $_.Parameters.ContainsKey('WhatIf') } | ForEach-Object Name
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
    $noCluster = -not ($env:SMCDR_TEST_KUBECONFIG -and (Test-Path -LiteralPath $env:SMCDR_TEST_KUBECONFIG) -and (Get-Command kubectl -ErrorAction Ignore))
    if ($noCluster) {
        Write-Warning 'What cmdlets do in a cluster is not tested with -WhatIf: SMCDR_TEST_KUBECONFIG names no kubeconfig, or there is no kubectl.'
    }

    # What is run, and what must be said: by 'What if:', or by the plan that is written.
    $onHost = @(
        @{ Run = { Add-SmcIncidentNote 'It is back' -Site $incidentSite -WhatIf }; Says = '*Note ''It is back''*Incident*' }
        @{ Run = { Backup-SmcDatabase -WhatIf }; Says = '*Back up the database cluster to file://*PostgreSQL at 127.0.0.1:*' }
        @{ Run = { Backup-SmcDatabase -Method Logical -Database orders -WhatIf }; Says = '*content of the databases orders*' }
        @{ Run = { Backup-SmcDatabase -Emergency -WhatIf }; Says = '*content of all databases*' }
        @{ Run = { Backup-SmcFileStore -WhatIf }; Says = '*File store ''config''*File store ''logs''*' }
        @{ Run = { Backup-SmcRedis -WhatIf }; Says = '*Back up all keys*Redis at 127.0.0.1:*' }
        @{ Run = { Backup-SmcSystem -WhatIf }; Says = '*Redis*File store ''config''*' }
        @{ Run = { Copy-SmcBackup -Destination (Join-Path $system.Root 'vault') -WhatIf }; Says = '*Copy all backups*vault*' }
        @{ Run = { $physical | Copy-SmcBackup -Destination (Join-Path $system.Root 'vault') -WhatIf }; Says = '*Copy 20*-full from*vault*' }
        @{ Run = { Enable-SmcPointInTimeRecovery -RoleCredential $role -WhatIf }; Says = '*CREATE ROLE*streamer*' }
        @{ Run = { Export-SmcReport (Join-Path $system.Root 'incident.html') -Site $incidentSite -WhatIf }; Says = '*Write the report*incident.html*' }
        @{
            Run  = { Export-SmcTable public.trades -Database postgres -OutFile (Join-Path $system.Root 'trades.csv') -WorkDirectory $system.Root -WhatIf }
            Says = '*public.trades*trades.csv*'
        }
        @{ Run = { Import-SmcWal $archive -WhatIf }; Says = '*WAL segments*' }
        @{ Run = { Initialize-SmcRegionReplica -Site $replicaSite -NoArchive -WhatIf }; Says = '*follow*Start the server as a standby*' }
        @{ Run = { Invoke-SmcDatabaseRecovery orders -WhatIf }; Says = '*Recover the database*orders*' }
        @{ Run = { Invoke-SmcDrill -WorkDirectory $system.Root -Report (Join-Path $system.Root 'drill.html') -WhatIf }; Says = '*throwaway PostgreSQL*' }
        @{ Run = { Invoke-SmcPointInTimeRecovery -Latest -DataDirectory (Join-Path $system.Root 'side') -NoStart -LeaveWriters -WhatIf }; Says = '*Recover the database cluster in*side*' }
        @{ Run = { Invoke-SmcRetention -WhatIf }; Says = '*Remove Backup*' }
        @{ Run = { Invoke-SmcRunbook DataCenterFailure -Site $partSite -AbandonUnfinished -WhatIf }; Says = '*Pending*Restore Redis*' }
        @{ Run = { New-SmcRepositoryKey (Join-Path $system.Root 'new.key') -WhatIf }; Says = '*Make a key file*new.key*' }
        @{ Run = { New-SmcRepositoryKey -KeyFile $secondKey -Name second -Site $keySite -WhatIf }; Says = '*Let ''second''*open the repository*' }
        @{ Run = { New-SmcRepositoryKey -Passphrase $passphrase -Name spoken -Site $keySite -WhatIf }; Says = '*Let ''spoken'', another Passphrase*' }
        @{ Run = { $physical | Protect-SmcBackup -Hold audit -WhatIf }; Says = '*Hold*Database backup 20*' }
        @{ Run = { $physical | Protect-SmcBackup -For 1d -WhatIf }; Says = '*Lock until*Database backup 20*' }
        @{ Run = { Register-SmcSchedule -Kind SystemdTimer -UnitDirectory (Join-Path $system.Root 'units') -Program /usr/bin/smcdr -WhatIf }; Says = '*Register the schedules*database (0 `*/6*' }
        @{ Run = { Register-SmcSchedule -Kind Crontab -Program /usr/bin/smcdr -OutputDirectory (Join-Path $system.Root 'cron') -WhatIf }; Says = '*Write the schedules*' }
        @{ Run = { $physical | Remove-SmcBackup -WhatIf }; Says = '*Remove for good*Database backup 20*' }
        @{ Run = { Remove-SmcRepositoryKey third -Site $keySite -WhatIf }; Says = '*Let ''third'' no longer open*' }
        @{ Run = { Restore-SmcDatabase $physical.Id -Immediate -DataDirectory (Join-Path $system.Root 'side') -LeaveWriters -WhatIf }; Says = '*Recover the database cluster in*side*' }
        @{ Run = { Restore-SmcDatabase $logical.Id -Database orders -TargetDatabase orders_beside -WhatIf }; Says = '*orders_beside*' }
        @{ Run = { Restore-SmcFileStore config -WhatIf -Force }; Says = '*config*' }
        @{ Run = { Restore-SmcFileStore logs -Destination (Join-Path $system.Root 'elsewhere') -WhatIf }; Says = '*elsewhere*' }
        @{ Run = { Restore-SmcRedis -Empty -WhatIf }; Says = '*200 keys*' }
        @{ Run = { Restore-SmcSystem -Site $partSite -AbandonUnfinished -WhatIf }; Says = '*Pending*Restore Redis*Restore file store*' }
        @{ Run = { Resume-SmcPlan -Site $partSite -WhatIf }; Says = '*AlreadyDone*Restore Redis*' }
        @{ Run = { Send-SmcAlert 'Disk full' -WhatIf }; Says = '*Send the alert ''Disk full''*hook*' }
        @{ Run = { Send-SmcHeartbeat -WhatIf }; Says = '*Tell that all is well*' }
        @{ Run = { Set-SmcDnsRecord west -Site $dnsSite -WhatIf }; Says = '*changes from east.example.test*to west.example.test*' }
        @{ Run = { Set-SmcDnsRecord east -Site $dnsSite -WhatIf }; Says = '*What if:*api.example.test*' }
        @{ Run = { Set-SmcDnsRecord -Name www.example.test -Value 192.0.2.9 -Site $dnsSite -WhatIf }; Says = '*becomes 192.0.2.9*' }
        @{ Run = { Set-SmcDnsRecord -Undo $change.Undo -Site $dnsSite -WhatIf }; Says = '*api.example.test*' }
        @{ Run = { Set-SmcSite $keySite -WhatIf }; Says = '*Use as the session''s site*' }
        @{ Run = { Start-SmcIncident 'Rows are gone' -WhatIf }; Says = '*Open the incident ''Rows are gone''*' }
        @{ Run = { Start-SmcRegionFailover -Force -Site $regionSite -WhatIf }; Says = '*Pending*Fence the old region*Promote the standby*' }
        @{ Run = { Start-SmcWalStream -WhatIf }; Says = '*Stream write-ahead log to file://*' }
        @{ Run = { Stop-SmcIncident 'All is there' -Site $incidentSite -WhatIf }; Says = '*Close*Incident ''20*' }
        @{ Run = { Stop-SmcPlan $plan.PlanId -Site $partSite -WhatIf }; Says = '*Give up*2 of 5 steps are done*' }
        @{ Run = { Test-SmcRecovery -QueriesOnly -WorkDirectory $system.Root -WhatIf }; Says = '*certify the result*' }
        @{ Run = { Undo-SmcPlan -Site $partSite -WhatIf }; Says = '*Take back what the plan*Restore Redis*cannot be taken back, and stays*' }
        @{ Run = { $held | Unprotect-SmcBackup -WhatIf }; Says = '*End all holds: audit*' }
        @{ Run = { Unregister-SmcSchedule -Kind SystemdTimer -UnitDirectory $units -WhatIf }; Says = '*Remove the schedules*' }
        @{ Run = { Update-SmcRepositoryKey -KeyFile $thirdKey -Site $keySite -WhatIf }; Says = '*Encrypt with a new key*' }
    )
    $afterFailover = @(
        @{ Run = { Start-SmcRegionFailback -Site $regionSite -Program /bin/true -WhatIf }; Says = '*east*' }
    )
    $inCluster = @(
        @{ Run = { Backup-SmcConfiguration -SkipSecret -WhatIf }; Says = '*Configuration of the namespace*' }
        @{ Run = { Backup-SmcConfiguration -SkipSecret -AsKubernetesJob -WhatIf }; Says = '*Kubernetes Job*' }
        @{ Run = { Restore-SmcConfiguration -WhatIf }; Says = '*settings*Planned*' }
        @{ Run = { Resume-SmcWorkload stopped -WhatIf }; Says = '*Scale from 0 to 1*' }
        @{ Run = { Suspend-SmcWorkload running -WhatIf }; Says = '*Scale from 1 to 0*' }
        @{ Run = { Start-SmcWalStream -AsKubernetesJob -Site $jobSite -WhatIf }; Says = '*Kubernetes Deployment*' }
    )
    foreach ($case in $onHost + $afterFailover + $inCluster) {
        # 'Backup-SmcDatabase -WhatIf' and what is piped to it are named by the cmdlet that has the switch.
        $case.Code = "$($case.Run)".Trim()
        $case.Command = [regex]::Match($case.Code, '(?:^|\| )(?<name>[A-Z][a-z]+-Smc[A-Za-z]+)[^|]*-WhatIf').Groups['name'].Value
    }

    $covered = ($onHost + $afterFailover + $inCluster).Command

    # Where the command would fail for certain, -WhatIf must say so in place of a promise.
    $refused = @(
        @{ Run = { Add-SmcIncidentNote 'It is back' -WhatIf }; Id = 'SmcIncidentUnsuitable' }
        @{ Run = { Stop-SmcIncident 'All is there' -WhatIf }; Id = 'SmcIncidentUnsuitable' }
        @{ Run = { Stop-SmcIncident 'All is there' -Id $closed.IncidentId -Site $incidentSite -WhatIf }; Id = 'SmcIncidentUnsuitable' }
        @{ Run = { Start-SmcIncident 'Another' -Site $incidentSite -WhatIf }; Id = 'SmcIncidentUnsuitable' }
        @{ Run = { Copy-SmcBackup 20200101T000000Z-full (Join-Path $system.Root 'vault') -WhatIf }; Id = 'SmcBackupNotFound' }
        @{ Run = { Protect-SmcBackup 20200101T000000Z-full -Hold audit -WhatIf }; Id = 'SmcBackupNotFound' }
        @{ Run = { $physical | Protect-SmcBackup -Until 2020-01-01T00:00:00Z -WhatIf }; Id = 'SmcArgumentInvalid' }
        @{ Run = { Remove-SmcBackup 20200101T000000Z-full -WhatIf }; Id = 'SmcBackupNotFound' }
        @{ Run = { Export-SmcTable trades -Database postgres -BackupId 20200101T000000Z-full -OutFile x.csv -WhatIf }; Id = 'SmcBackupNotFound' }
        @{ Run = { Test-SmcRecovery 20200101T000000Z-full -WhatIf }; Id = 'SmcBackupNotFound' }
        @{ Run = { Restore-SmcDatabase 20200101T000000Z-full -DataDirectory (Join-Path $system.Root 'side') -WhatIf }; Id = 'SmcBackupNotFound' }
        @{ Run = { Invoke-SmcPointInTimeRecovery 2020-01-01T00:00:00Z -DataDirectory (Join-Path $system.Root 'side') -WhatIf }; Id = 'SmcTargetOutsideWindow' }
        @{ Run = { Stop-SmcPlan 20200101T000000Z-restore-system -WhatIf }; Id = 'SmcPlanUnsuitable' }
        @{ Run = { Resume-SmcPlan -WhatIf }; Id = 'SmcPlanUnsuitable' }
        @{ Run = { Send-SmcHeartbeat -Site $keySite -WhatIf }; Id = 'SmcSiteInvalid' }
        @{ Run = { New-SmcRepositoryKey $secondKey -WhatIf }; Id = 'SmcTargetNotEmpty' }
        @{ Run = { New-SmcRepositoryKey -KeyFile $thirdKey -Site $keySite -WhatIf }; Id = 'SmcKeyExists' }
        @{ Run = { Remove-SmcRepositoryKey nobody -Site $keySite -WhatIf }; Id = 'SmcKeyNotFound' }
        @{ Run = { Update-SmcRepositoryKey -Site $keySite -WhatIf }; Id = 'SmcKeyMissing' }
        @{ Run = { Remove-SmcRepositoryKey third -WhatIf }; Id = 'SmcKeyMissing' }
    ) | ForEach-Object { $_ + @{ Code = "$($_.Run)".Trim() } }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    foreach ($file in 'Assertions', 'PostgresServer', 'RedisServer', 'AlertReceiver', 'DnsServers', 'TestSystem') {
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', "$file.ps1"))
    }

    Import-Module (Get-SmcModulePath) -Global

    # What a script says to people, and what it writes, as text. Twice: -WhatIf is also a preference.
    function Invoke-WhatIf([scriptblock] $Script, [switch] $ByPreference) {
        $run = $ByPreference ? [scriptblock]::Create($Script.ToString().Replace(' -WhatIf', '')) : $Script
        $script:written = $null
        $said = Get-HostText {
            if ($ByPreference) {
                $WhatIfPreference = $true
            }

            $script:written = & $run 3>&1
        }
        $said + ($script:written | Out-String -Width 400)
    }

    function Get-HostChecks([hashtable] $Case) {
        foreach ($byPreference in $false, $true) {
            $before = Get-WorldState
            $text = Invoke-WhatIf $Case.Run -ByPreference:$byPreference
            Get-WorldState | Should -Be $before -Because "this must change nothing: $($Case.Code)"
            $text | Should -BeLike $Case.Says
        }
    }
}

Describe 'The cases below' {
    It 'have one of <_>' -ForEach $changing {
        $_ | Should -BeIn $covered
    }
} -ForEach @{ covered = $covered }

Describe 'On this host' -Skip:$cannot {
    BeforeAll {
        $system = Open-TestSystem -Name pester-whatif
        Set-SmcSite $system.Site
        $role = [pscredential]::new('streamer', [System.Net.NetworkCredential]::new('', 'an-easy-one').SecurePassword)
        $passphrase = [System.Net.NetworkCredential]::new('', 'correct horse battery staple').SecurePassword

        # WAL of a server, as an archive_command would have kept it.
        $null = Invoke-TestSql $system.Server 'select pg_switch_wal()'
        $archive = (New-Item -ItemType Directory -Path (Join-Path $system.Root 'archive')).FullName
        $current = "$(Invoke-TestSql $system.Server 'select pg_walfile_name(pg_current_wal_insert_lsn())')".Trim()
        Get-ChildItem -LiteralPath (Join-Path $system.Server.DataDirectory 'pg_wal') -File |
            Where-Object { $_.Name -match '^[0-9A-F]{24}$' -and $_.Name -lt $current } |
            Copy-Item -Destination $archive

        $older = Backup-SmcDatabase -Full -Confirm:$false
        $physical = Backup-SmcDatabase -Full -Confirm:$false
        $held = Backup-SmcDatabase -Full -Confirm:$false
        $null = $held | Protect-SmcBackup -Hold audit
        $logical = Backup-SmcDatabase -Method Logical -Confirm:$false
        $null = Backup-SmcRedis -Confirm:$false
        $null = Backup-SmcFileStore -Confirm:$false
        $null = Start-SmcWalStream -Once -Confirm:$false
        Set-Content -LiteralPath (Join-Path $system.Files 'limits.conf') -Value 'limit = 20'

        $units = Join-Path $system.Root 'registered'
        $null = Register-SmcSchedule -Kind SystemdTimer -UnitDirectory $units -Program /usr/bin/smcdr -Confirm:$false -WarningAction SilentlyContinue

        # An encrypted repository with two who can open it.
        $key, $secondKey, $thirdKey = 'first', 'second', 'third' | ForEach-Object { (New-SmcRepositoryKey (Join-Path $system.Root "$_.key")).Path }
        $keySite = Join-Path $system.Root 'keys.yaml'
        Set-Content -LiteralPath $keySite -Value @"
name: pester-keys
repository: { location: "file://$($system.Root)/encrypted", encryptionKey: "file:$key" }
regions: { here: { role: primary } }
fileStores: [ { name: logs, path: "$($system.Logs)" } ]
"@
        $null = Backup-SmcFileStore -Site $keySite -Confirm:$false
        $null = New-SmcRepositoryKey -KeyFile $thirdKey -Name third -Site $keySite

        # A site with an incident that is over and one that is open.
        $incidentSite = Join-Path $system.Root 'incident.yaml'
        Set-Content -LiteralPath $incidentSite -Value @"
name: pester-incident
repository: { location: "file://$($system.Root)/incidents" }
regions: { here: { role: primary } }
fileStores: [ { name: logs, path: "$($system.Logs)" } ]
"@
        $null = Backup-SmcFileStore -Site $incidentSite -Confirm:$false
        $null = Start-SmcIncident 'A small one' -Site $incidentSite
        $closed = Stop-SmcIncident 'It is over' -Site $incidentSite
        $null = Start-SmcIncident 'Files are gone' -Site $incidentSite

        # A site with a plan that failed half-way.
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
        $null = Backup-SmcSystem -Site $partSite -Confirm:$false
        Remove-Item -LiteralPath $part -Recurse
        Set-Content -LiteralPath $part -Value 'in the way'
        { Restore-SmcSystem -Site $partSite -Confirm:$false } | Should -Throw
        $plan = Get-SmcPlan -Site $partSite | Where-Object State -EQ Unfinished
        Remove-Item -LiteralPath $part

        # A record that leads to one of two regions.
        $dns = Open-TestDnsServer -Record '--cname=api.example.test,east.example.test,60'
        $dnsSite = Join-Path $dns.Root 'smcdr.yaml'
        Set-Content -LiteralPath $dnsSite -Value @"
name: pester-dns
repository: { location: "file://$($dns.Root)/repository" }
regions:
  east: { role: primary, endpoint: east.example.test }
  west: { role: standby, endpoint: west.example.test }
dns: { hostedZoneId: $($dns.ZoneId), record: api.example.test, ttl: 60, endpoint: "$($dns.Endpoint)", nameServers: [ "$($dns.NameServer)" ] }
"@
        $change = Set-SmcDnsRecord east -Site $dnsSite -SkipAuthoritative -Confirm:$false

        # Two regions with a standby, and two of which the second has no server yet.
        $standby = Open-TestStandby $system.Server
        function Save-RegionSite([string] $Name, [int] $Port, [string] $Directory) {
            $path = Join-Path $system.Root "$Name.yaml"
            Set-Content -LiteralPath $path -Value @"
name: pester-$Name
repository: { location: "file://$($system.Root)/$Name" }
regions:
  east:
    role: primary
    database:
      connection: "Host=127.0.0.1;Port=$($system.Server.Port);Username=postgres;Database=postgres"
      password: file:$($system.Server.SecretFile)
      dataDirectory: $($system.Server.DataDirectory)
      binDirectory: $(Get-PostgresBin)
  west:
    role: standby
    database:
      connection: "Host=127.0.0.1;Port=$Port;Username=postgres;Database=postgres"
      password: file:$($system.Server.SecretFile)
      dataDirectory: $Directory
      binDirectory: $(Get-PostgresBin)
"@
            $null = Backup-SmcDatabase -Site $path -Confirm:$false
            $path
        }

        $regionSite = Save-RegionSite regions $standby.Port $standby.DataDirectory
        $replicaSite = Save-RegionSite replica (Get-FreePort) (Join-Path $system.Root 'follower')
        $roots = $system.Root, $system.Redis.Root, $standby.Root, $dns.Root
        $closedRoots = $system.Server.DataDirectory, $standby.DataDirectory
        $noise = Join-Path $dns.Root 'moto.log'

        # What stays as it was, as text.
        function Get-WorldState {
            $zone = Invoke-WebRequest -Uri "$($dns.Endpoint)/2013-04-01/hostedzone/$($dns.ZoneId)/rrset" -SkipHeaderValidation -Headers @{
                Authorization = 'AWS4-HMAC-SHA256 Credential=smcdr-tests/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=0'
            }
            @(
                (Get-FileState $roots -Closed $closedRoots) -split "`n" -notmatch "^($([regex]::Escape($noise))|.*/(server|dnsmasq)\.log) "
                Get-ServerState $system.Server
                Get-ServerState $standby
                Get-RedisState $system.Redis
                "$($zone.Content)"
                Get-SmcSite 'pester-*' -ErrorAction Ignore | ForEach-Object { "$($_.Name) $($_.IsCurrent)" }
                if (Get-Command -Name crontab -CommandType Application -ErrorAction Ignore) {
                    "$(crontab -l 2>$null)"
                }

            ) -join "`n"
        }
    }

    AfterAll {
        if ($standby) {
            Close-TestServer $standby
        }

        if ($dns) {
            Close-TestDnsServer $dns
        }

        if ($system) {
            Close-TestSystem $system
        }
    }

    It 'is seen where something does change' {
        $before = Get-WorldState
        Get-WorldState | Should -Be $before
        Set-Content -LiteralPath (Join-Path $system.Root 'one-more') -Value 'x'
        Get-WorldState | Should -Not -Be $before
        Remove-Item -LiteralPath (Join-Path $system.Root 'one-more')
        $null = Invoke-TestSql $system.Server 'update trades set note = ''x'' where id = 7'
        Get-WorldState | Should -Not -Be $before
        $null = Invoke-TestSql $system.Server 'update trades set note = md5(''7'') where id = 7'
        $null = Invoke-TestRedisCommand $system.Redis SET key:7 8
        Get-WorldState | Should -Not -Be $before
        $null = Invoke-TestRedisCommand $system.Redis SET key:7 7
        Get-WorldState | Should -Be $before
    }

    It 'is only said what it would do: <Code>' -ForEach $onHost {
        Get-HostChecks @{ Run = $Run; Says = $Says; Code = $Code }
    }

    It 'is said that it cannot be, and by no promise: <Code>' -ForEach $refused {
        $before = Get-WorldState
        $ErrorActionPreference = 'Stop'
        $said = Get-HostText { $script:failure = Assert-SmcError $Id $Run }
        $said | Should -Not -BeLike '*What if:*'
        Get-WorldState | Should -Be $before
    }

    It 'is told to nobody' {
        $null = Send-SmcHeartbeat
        (Read-TestReceiver $system.Receiver).method | Should -Be 'GET' -Because 'nothing came to the webhook before it'
    }

    It 'is only said how a region would lead again: <Code>' -ForEach $afterFailover {
        $null = Start-SmcRegionFailover -Force -Site $regionSite -Program /bin/true -Confirm:$false -WarningAction SilentlyContinue
        Resume-TestServer $system.Server
        Get-HostChecks @{ Run = $Run; Says = $Says; Code = $Code }
    }
}

Describe 'In a cluster' -Skip:$noCluster {
    BeforeAll {
        $namespace = "smcdr-pester-$([guid]::NewGuid().ToString('N').Substring(0, 8))"
        function Invoke-Kubectl {
            $output = $input | kubectl --kubeconfig $env:SMCDR_TEST_KUBECONFIG @args 2>&1
            if ($LASTEXITCODE -ne 0) {
                throw "kubectl $args failed: $output"
            }

            $output
        }

        $null = Invoke-Kubectl create namespace $namespace
        foreach ($name in 'running', 'stopped') {
            $null = @"
apiVersion: apps/v1
kind: Deployment
metadata: { name: $name, namespace: $namespace }
spec:
  selector: { matchLabels: { app: $name } }
  template:
    metadata: { labels: { app: $name } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [ { name: main, image: "busybox:1.35", imagePullPolicy: IfNotPresent, command: [ sleep, "100000" ] } ]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: $namespace }
data: { mode: fast }
"@ | Invoke-Kubectl apply -f -
        }

        $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-test-').FullName
        function Save-ClusterSite([string] $Name, [string] $More) {
            $path = Join-Path $root "$Name.yaml"
            Set-Content -LiteralPath $path -Value @"
name: $Name
repository: { location: "file://$root/repository" }
regions:
  east:
    role: primary
    kubernetes:
      kubeconfig: "$env:SMCDR_TEST_KUBECONFIG"
      namespace: $namespace
      job: { image: "smcdr:none", mounts: [ { claim: store, path: "$root" } ] }
$More
writers: [ deployment/running, deployment/stopped ]
"@
            $path
        }

        Set-SmcSite (Save-ClusterSite whatif)
        $jobSite = Save-ClusterSite stream "    database: { connection: `"Host=postgres;Username=postgres`", workload: deployment/running }"
        foreach ($name in 'running', 'stopped') {
            $null = Invoke-Kubectl -n $namespace rollout status "deployment/$name" --timeout=180s
        }

        $null = Suspend-SmcWorkload stopped -Confirm:$false
        $null = Backup-SmcConfiguration -SkipSecret -Confirm:$false
        $null = Invoke-Kubectl -n $namespace delete configmap settings

        $kinds = 'deployments,replicasets,pods,jobs,configmaps,secrets,serviceaccounts,persistentvolumeclaims'
        function Get-WorldState {
            @(
                Invoke-Kubectl -n $namespace get $kinds -o 'custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion'
                Get-FileState $root
            ) -join "`n"
        }
    }

    AfterAll {
        if ($namespace) {
            $null = Invoke-Kubectl delete namespace $namespace --wait=false
        }

        if ($root) {
            Remove-Item -LiteralPath $root -Recurse -Force
        }
    }

    It 'is only said what it would do: <Code>' -ForEach $inCluster {
        Get-HostChecks @{ Run = $Run; Says = $Says; Code = $Code }
    }
}
