#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# The sample runbooks as an automation service runs them: each in a PowerShell of its own that nobody can answer, against servers that are thrown away.
# The blocks below follow each other.

BeforeDiscovery {
    $cannot = -not $IsLinux -or -not [System.Environment]::Is64BitProcess
    $runbooks = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..', 'docs', 'runbooks'))
    $documents = Get-ChildItem -Path (Join-Path $runbooks 'aws') -Filter '*.yaml' | ForEach-Object { @{ Name = $_.Name; Path = $_.FullName } }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'AlertReceiver.ps1'))
    $module = Get-SmcModulePath
    Import-Module $module -Global
    $runbooks = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..', 'docs', 'runbooks'))

    # Runs a runbook and gives its exit code, all of its output, and the document at the end of that.
    function Invoke-Runbook([string] $Name, [string[]] $Arguments) {
        $output = & (Get-TestShell) -NoProfile -NonInteractive -File (Join-Path $runbooks $Name) @Arguments -Module $module 2>&1 | ForEach-Object { "$_" }
        Read-RunbookOutput $output $LASTEXITCODE
    }

    function Read-RunbookOutput([string[]] $Output, [int] $ExitCode) {
        $begin = [array]::LastIndexOf($Output, '{')
        if ($begin -lt 0) {
            throw "The runbook ended with $ExitCode, without a document: $($Output -join "`n")"
        }

        [pscustomobject]@{ ExitCode = $ExitCode; Text = $Output -join "`n"; Document = $Output[$begin..($Output.Count - 1)] -join "`n" | ConvertFrom-Json }
    }

    $server = Open-TestServer
    $null = Invoke-TestSql $server 'create table trades as select i as id from generate_series(1, 1000) i'
    $state = $env:SMCDR_STATE_DIR
    $env:SMCDR_STATE_DIR = Join-Path $server.Root 'state'
    $web = Open-TestReceiver http, 200
    $env:SMCDR_PESTER_HOOK = "http://127.0.0.1:$($web.Port)/hook"
    $env:SMCDR_PESTER_HEART = "http://127.0.0.1:$($web.Port)/heart"

    $repository = Join-Path $server.Root 'repository'
    $site = Save-TestSite $server -Name runbooks
    Add-Content -LiteralPath $site -Value @'
notifications: [ { name: hook, webhook: env:SMCDR_PESTER_HOOK } ]
alerts: { heartbeatUrl: env:SMCDR_PESTER_HEART }
checks:
  sql: [ { query: "select count(*) from trades", expect: "> 0" } ]
'@
}

AfterAll {
    $env:SMCDR_STATE_DIR = $state
    $env:SMCDR_PESTER_HOOK = $null
    $env:SMCDR_PESTER_HEART = $null
    if ($web) {
        Close-TestReceiver $web
    }

    if ($server) {
        Close-TestServer $server
    }
}

Describe 'nightly-backup.ps1' -Skip:$cannot {
    It 'backs up, verifies, and gives a sign of life' {
        $run = Invoke-Runbook nightly-backup.ps1 -Arguments '-Site', $site, '-Heartbeat'
        $run.ExitCode | Should -Be 0 -Because $run.Text
        $run.Document.outcome | Should -Be 'Succeeded'
        $run.Document.problems | Should -BeNullOrEmpty
        $backup = Get-SmcBackup -Site $site
        $backup.State | Should -Be 'Complete'
        $backup.Label | Should -BeLike 'nightly 20*'
        $run.Document.backups.id | Should -Be $backup.Id
        (Read-TestReceiver $web).path | Should -Be '/heart'
    }

    It 'tells the channels and fails where a backup cannot be taken, and looks at what there is all the same' {
        Suspend-TestServer $server
        try {
            $run = Invoke-Runbook nightly-backup.ps1 -Arguments '-Site', $site, '-Heartbeat', '-NewerThan', '1s'
        } finally {
            Resume-TestServer $server
        }

        $run.ExitCode | Should -Be 1 -Because $run.Text
        $run.Document.outcome | Should -Be 'Failed'
        $run.Document.backups | Should -BeNullOrEmpty
        $run.Document.problems.Count | Should -BeGreaterThan 1
        $told = Read-TestReceiver $web
        $told.path | Should -Be '/hook'
        ($told.body | ConvertFrom-Json).key | Should -Be 'nightly-backup'
    }
}

Describe 'monthly-restore-test.ps1' -Skip:$cannot {
    It 'recovers twice, leaves two certificates and tells of both' {
        $null = Invoke-TestSql $server 'insert into trades values (1001)'
        $null = Start-SmcWalStream -Site $site -Once -Slot ''
        $work = (New-Item -ItemType Directory -Path (Join-Path $server.Root 'work')).FullName
        $run = Invoke-Runbook monthly-restore-test.ps1 -Arguments '-Site', $site, '-WorkDirectory', $work
        $run.ExitCode | Should -Be 0 -Because $run.Text
        $run.Document.tests.outcome | Should -HaveCount 2
        $run.Document.tests.target | Should -Be 'Latest', 'Time'
        (Get-SmcRecoveryTest -Site $site).TestId | Sort-Object | Should -Be ($run.Document.tests.id | Sort-Object)
        Get-ChildItem -LiteralPath $work | Should -BeNullOrEmpty
        1..2 | ForEach-Object { (Read-TestReceiver $web).path | Should -Be '/hook' }
    }

    It 'fails where a query of the site is not answered as it must be' {
        $wrong = Join-Path $server.Root 'wrong.yaml'
        Set-Content -LiteralPath $wrong -Value ((Get-Content -LiteralPath $site -Raw) -replace '> 0', '> 5000')
        $run = Invoke-Runbook monthly-restore-test.ps1 -Arguments '-Site', $wrong, '-WorkDirectory', (Join-Path $server.Root 'work'), '-NoAlert'
        $run.ExitCode | Should -Be 1 -Because $run.Text
        $run.Document.tests.outcome | Should -Contain 'Failed'
        $run.Document.problems -join ' ' | Should -BeLike '*count(*) from trades*'
    }
}

Describe 'Invoke-SiteScript.ps1' -Skip:$cannot {
    BeforeAll {
        $wrapper = [System.IO.Path]::Combine($runbooks, 'azure', 'Invoke-SiteScript.ps1')
        function Invoke-Wrapper([hashtable] $Parameters) {
            $text = ConvertTo-Json -InputObject $Parameters -Compress
            $output = & (Get-TestShell) -NoProfile -NonInteractive -File $wrapper -Script nightly-backup.ps1 -Parameters $text -Directory $runbooks -Shell (Get-TestShell) 2>&1 |
                ForEach-Object { "$_" }
            [pscustomobject]@{ ExitCode = $LASTEXITCODE; Text = $output -join "`n" }
        }
    }

    It 'runs a script with the parameters of a document' {
        $run = Invoke-Wrapper @{ Site = $site; Module = $module; NoAlert = $true; Heartbeat = $false }
        $run.ExitCode | Should -Be 0 -Because $run.Text
        $run.Text | Should -BeLike '*"outcome": "Succeeded"*'
    }

    It 'fails where the script does' {
        $run = Invoke-Wrapper @{ Site = Join-Path $server.Root 'none.yaml'; Module = $module; NoAlert = $true }
        $run.ExitCode | Should -Be 1
        $run.Text | Should -BeLike '*"outcome": "Failed"*nightly-backup.ps1 ended with 1*'
    }
}

Describe 'region-failover.ps1' -Skip:$cannot {
    BeforeAll {
        $standby = Open-TestStandby $server
        $regions = New-TestRegionSite -Name runbook-regions -Server $server -Standby $standby -Repository $repository
        $common = '-Site', $regions, '-Region', 'west', '-NoAlert'
    }

    AfterAll {
        if ($standby) {
            Close-TestServer $standby
        }
    }

    It 'makes no plan while the primary lives' {
        $run = Invoke-Runbook region-failover.ps1 -Arguments $common
        $run.ExitCode | Should -Be 1
        $run.Document.outcome | Should -Be 'Failed'
        $run.Document.problem | Should -BeLike '*answers*'
    }

    It 'shows the plan and its code when it is gone, and changes nothing' {
        Suspend-TestServer $server
        $run = Invoke-Runbook region-failover.ps1 -Arguments $common
        $run.ExitCode | Should -Be 0 -Because $run.Text
        $run.Document.outcome | Should -Be 'Planned'
        $run.Document.approval | Should -MatchExactly '^[0-9a-f]{16}$'
        $run.Document.steps.Count | Should -BeGreaterThan 3
        $script:approval = $run.Document.approval
        (Get-SmcRegion -Site $regions -Name west).Fencing | Should -Be 'Open'
        Get-SmcPlan -Site $regions | Should -BeNullOrEmpty
    }

    It 'refuses what was not approved so, and by nobody' {
        $run = Invoke-Runbook region-failover.ps1 -Arguments ($common + '-Approval', '0123456789abcdef', '-ApprovedBy', 'R. Meier')
        $run.ExitCode | Should -Be 1
        $run.Document.problem | Should -BeLike '*is not what would be done now*'
        (Invoke-Runbook region-failover.ps1 -Arguments ($common + '-Approval', $script:approval)).ExitCode | Should -Be 1
        Get-SmcPlan -Site $regions | Should -BeNullOrEmpty
        Get-SmcIncident -Site $regions | Should -BeNullOrEmpty
    }

    It 'leads the site over when it was approved, and notes by whom' {
        $run = Invoke-Runbook region-failover.ps1 -Arguments ($common + '-Approval', $script:approval, '-ApprovedBy', 'R. Meier')
        $run.ExitCode | Should -Be 0 -Because $run.Text
        $run.Document.outcome | Should -Be 'Succeeded'
        $run.Document.steps.state | Should -Not -Contain 'Failed'
        (Get-SmcRegion -Site $regions -Name west).Fencing | Should -Be 'Leads'
        (Invoke-TestSql $standby 'insert into trades values (0) returning id') | Should -Be '0'
        (Get-SmcIncident -Site $regions -Open).Timeline.Text -join "`n" | Should -BeLike "*was approved by R. Meier ($($script:approval))*"
    }

    It 'changes nothing when it is started again' {
        $run = Invoke-Runbook region-failover.ps1 -Arguments ($common + '-Approval', $script:approval, '-ApprovedBy', 'R. Meier')
        $run.ExitCode | Should -Be 0 -Because $run.Text
        $run.Document.outcome | Should -Be 'AlreadyDone'
        @(Get-SmcPlan -Site $regions) | Should -HaveCount 1
    }
}

Describe 'The documents for AWS' {
    It 'starts a script that is here, with parameters that it has, in <Name>' -ForEach $documents {
        $text = [System.IO.File]::ReadAllText($Path)
        $commands = @([regex]::Matches($text, '(?m)^ +- pwsh -NoProfile -NonInteractive -File /opt/smcdr/runbooks/(?<script>[\w-]+\.ps1)(?<arguments>.*)$'))
        $commands | Should -Not -BeNullOrEmpty
        foreach ($command in $commands) {
            $script = Join-Path $runbooks $command.Groups['script'].Value
            $script | Should -Exist
            $known = (Get-Command -Name $script).Parameters.Keys
            foreach ($parameter in [regex]::Matches($command.Groups['arguments'].Value, ' -(?<name>[A-Z]\w+)')) {
                $parameter.Groups['name'].Value | Should -BeIn $known
            }
            foreach ($name in [regex]::Matches($command.Groups['arguments'].Value, '\{\{ (?<name>\w+) \}\}')) {
                $text | Should -MatchExactly "(?m)^  $($name.Groups['name'].Value):$"
            }
        }
    }
}
