#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# One webhook and one mailbox are told of a site's backups, and its objectives are measured: the blocks below follow each other.

BeforeDiscovery {
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'AlertReceiver.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-test-').FullName
    $state = $env:SMCDR_STATE_DIR
    $env:SMCDR_STATE_DIR = Join-Path $root 'state'
    $web = Open-TestReceiver http, 200, 200, 200, 200, 404
    $mail = Open-TestReceiver smtp, ok
    $env:SMCDR_PESTER_HOOK = "http://127.0.0.1:$($web.Port)/hunter2"
    $files = (New-Item -ItemType Directory -Path (Join-Path $root 'files')).FullName
    Set-Content -LiteralPath (Join-Path $files 'one') -Value 'one'
    $site = Join-Path $root 'smcdr.yaml'
    Set-Content -LiteralPath $site -Value @"
name: pester-alerts
repository: { location: "file://$(Join-Path $root 'repository')" }
objectives: { fileStore: { rpo: 1h, rto: 1h } }
regions: { here: { role: primary } }
fileStores: [ { name: config, path: "$files" } ]
notifications:
  - { name: hook, webhook: env:SMCDR_PESTER_HOOK }
  - { name: mail, minimumSeverity: error, email: { host: 127.0.0.1, port: $($mail.Port), security: none, from: a@example.test, to: [ b@example.test ] } }
alerts: { heartbeatUrl: env:SMCDR_PESTER_HOOK }
"@
    Set-SmcSite $site
}

AfterAll {
    $web, $mail | Where-Object { $_ } | ForEach-Object { Close-TestReceiver $_ }
    $env:SMCDR_STATE_DIR = $state
    $env:SMCDR_PESTER_HOOK = $null
    if ($root) {
        Remove-Item -LiteralPath $root -Recurse -Force
    }
}

Describe 'Send-SmcAlert' {
    It 'tells nobody with -WhatIf, and says who would be' {
        $text = Get-HostText { Send-SmcAlert 'Disk full' -WhatIf }
        $text | Should -BeLike "*Send the alert 'Disk full' (Error)*hook*"
        (Send-SmcAlert 'Disk full' -WhatIf).State | Should -Be 'Planned', 'Planned'
        Join-Path $root 'state' | Should -Not -Exist
    }

    It 'tells nobody where nothing comes through the pipeline' {
        @() | Send-SmcAlert | Should -BeNullOrEmpty
    }

    It 'needs a title for what it does not know' {
        Assert-SmcError SmcArgumentInvalid { 5 | Send-SmcAlert }
    }

    It 'tells what came through the pipeline, on each channel' {
        $problem = [SmcDr.BackupProblem]::new('Redis', 'SmcBackupNotFound', 'There is no complete backup of Redis.')
        $failed = [SmcDr.BackupTestResult]@{
            Id = ''; Component = 'Redis'; Outcome = 'Failed'; Problems = [SmcDr.BackupProblem[]]@($problem); Repository = '/r'
        }
        $results = $failed | Send-SmcAlert -Field ([ordered]@{ Region = 'east'; Shift = 3 })
        $results | Should -BeOfType [SmcDr.AlertResult]
        $results.Channel | Should -Be 'hook', 'mail'
        $results.State | Should -Be 'Sent', 'Sent'
        $results.Key | Should -Be 'backups', 'backups'

        $body = (Read-TestReceiver $web).body | ConvertFrom-Json
        $body.title | Should -Be '1 backup is not as it must be'
        $body.text | Should -Be 'Redis: Failed. There is no complete backup of Redis.'
        $body.severity | Should -Be 'error'
        $body.fields.Region, $body.fields.Shift | Should -Be 'east', '3'
        (Read-TestReceiver $mail).data | Should -BeLike '*Subject: `[ERROR`] pester-alerts: 1 backup is not as it must be*There is no complete backup of Redis.*'

        ($failed | Send-SmcAlert).State | Should -Be 'Suppressed', 'Suppressed'
    }

    It 'tells those who were told that it is over' {
        $results = Send-SmcAlert 'All is well' -Severity Information -Key backups -Resolved
        $results.State | Should -Be 'Sent', 'Sent'
        ((Read-TestReceiver $web).body | ConvertFrom-Json).state | Should -Be 'resolved'
        $null = Read-TestReceiver $mail
    }

    It 'describes other objects by their properties, for the channels that take their severity' {
        $results = [pscustomobject]@{ Disk = '/dev/sda'; Free = 0 } | Send-SmcAlert 'Disk full' -Severity Warning
        $results.State | Should -Be 'Sent', 'BelowSeverity'
        ((Read-TestReceiver $web).body | ConvertFrom-Json).text | Should -Be 'Disk: /dev/sda, Free: 0'
    }

    It 'refuses a channel that the site does not have' {
        (Assert-SmcError SmcArgumentInvalid { Send-SmcAlert 'a' -Channel pager }).ErrorDetails.RecommendedAction | Should -BeLike '*hook, mail*'
    }
}

Describe 'Send-SmcHeartbeat' {
    It 'tells that all is well, and nothing with -WhatIf' {
        Send-SmcHeartbeat -WhatIf | Should -BeNullOrEmpty
        (Send-SmcHeartbeat).State | Should -Be 'Sent'
        (Read-TestReceiver $web).method | Should -Be 'GET'
    }

    It 'gives the result and an error where it is refused, without the address' {
        $result = Send-SmcHeartbeat -ErrorAction SilentlyContinue -ErrorVariable failure
        $result.State | Should -Be 'Failed'
        $failure[0].FullyQualifiedErrorId | Should -BeLike 'SmcAlertNotDelivered,*'
        "$($failure[0])$($failure[0].ErrorDetails)$($result.Problem)" | Should -Not -BeLike '*hunter*'
        $null = Read-TestReceiver $web
    }

    It 'gives an alert''s failure the same way' {
        $results = Send-SmcAlert 'Disk full' -Channel hook -Force -ErrorAction SilentlyContinue -ErrorVariable failure
        $results.State | Should -Be 'Failed'
        $failure[0].Exception.Message | Should -BeLike 'hook: The receiver answers 404*'
    }
}

Describe 'Measure-SmcObjective' -Skip:$cannot {
    It 'says what is not known, and makes up no number' {
        $null = Backup-SmcFileStore -Confirm:$false
        $result = Measure-SmcObjective
        $result | Should -BeOfType [SmcDr.ObjectiveResult]
        $result.Verdict, $result.RpoVerdict, $result.RtoVerdict | Should -Be 'Unknown', 'Met', 'Unknown'
        $result.PredictedRecoverySeconds | Should -BeNullOrEmpty
    }

    It 'knows a recovery once one was measured, and writes it for Prometheus' {
        $null = Restore-SmcFileStore config -Destination (Join-Path $root 'back') -Confirm:$false
        $file = Join-Path $root 'smcdr.prom'
        $result = Measure-SmcObjective -OutFile $file
        $result.Verdict | Should -Be 'Met'
        $result.PredictedRecoverySeconds | Should -BeGreaterThan 0
        $result.ProvenTime | Should -Not -BeNullOrEmpty
        $file | Should -FileContentMatch '^smcdr_objective_verdict\{.*subject="config".*verdict="Met"\} 1$'
    }

    It 'is told' {
        $result = (Measure-SmcObjective) | Send-SmcAlert -WhatIf
        $result.Key | Should -Be 'objectives', 'objectives'
        $result.Title[0] | Should -Be 'All is well with the objectives'
    }
}
