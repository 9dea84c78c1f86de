#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
    $codes = [SmcDr.SmcErrors]::All
}

BeforeAll {
    $supportPath = [System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')
    Import-Module $supportPath -Force
    $module = Get-SmcModulePath
    $assembly = Join-Path (Build-TestProject TestCmdlets) 'SmcDr.PowerShell.TestCmdlets.dll'
    Import-Module -Assembly (Get-TestCmdletAssembly -Module $module -Path $assembly)

    # A session of its own, as Ctrl+C cannot be pressed in that of the tests.
    function Open-Session {
        $shell = [powershell]::Create()
        $null = $shell.AddScript({
                param($Support, $Module, $Assembly)
                Import-Module $Support
                Import-Module -Assembly (Get-TestCmdletAssembly -Module $Module -Path $Assembly)
            }.ToString()).AddArgument($supportPath).AddArgument($module).AddArgument($assembly).Invoke()
        $shell.Commands.Clear()
        $shell
    }

    function Assert-Unwound($Probe, $HalfDone) {
        $Probe.Unwound | Should -BeTrue -Because 'the prompt may come back only after the work has unwound'
        $Probe.Disposed | Should -BeTrue
        $HalfDone | Should -Not -Exist
        # Ten beats of the unwinding are in, and nothing beats after it: this reads the same twice because nothing runs.
        $beats = $Probe.Beats
        $beats | Should -BeGreaterOrEqual 10
        $beats | Should -Be $Probe.Beats
    }
}

Describe 'Work that is stopped' {
    BeforeEach {
        $probe = New-TestProbe
        $halfDone = Join-Path $TestDrive "half-done-$([guid]::NewGuid())"
    }

    It 'unwinds before Select-Object -First gives the prompt back' {
        Invoke-TestWork -Probe $probe -HalfDone $halfDone | Select-Object -First 1 | Should -Be 1
        Assert-Unwound $probe $halfDone
        $probe.Seen | Should -BeOfType [System.OperationCanceledException]
    }

    It 'unwinds before a break in the pipeline leaves the loop' {
        foreach ($once in 1) {
            Invoke-TestWork -Probe $probe -HalfDone $halfDone | ForEach-Object { if ($_ -eq 3) { break } }
        }
        Assert-Unwound $probe $halfDone
    }

    It 'unwinds before an exception of a command behind it arrives' {
        { Invoke-TestWork -Probe $probe -HalfDone $halfDone | ForEach-Object { throw 'no more' } } | Should -Throw 'no more'
        Assert-Unwound $probe $halfDone
    }

    It 'unwinds under -ErrorAction Stop, and the error is the one that was written' {
        {
            Invoke-TestWork -Probe $probe -HalfDone $halfDone -ErrorAt 3 -ErrorAction Stop
        } | Should -Throw -ErrorId 'SmcChecksumMismatch,SmcDr.PowerShell.TestCmdlets.InvokeTestWorkCommand'
        Assert-Unwound $probe $halfDone
        $probe.Seen | Should -BeOfType [System.OperationCanceledException] -Because 'the reply must fail, or the worker waits for ever'
    }

    It 'goes on after an error under -ErrorAction SilentlyContinue' {
        $splatWork = @{
            Probe         = $probe
            HalfDone      = $halfDone
            ErrorAt       = 3
            ErrorAction   = 'SilentlyContinue'
            ErrorVariable = 'failures'
        }
        Invoke-TestWork @splatWork | Select-Object -First 5 | Should -Be (1..5)
        # Select-Object's stop is in the variable as well, in some versions of PowerShell.
        $failures[0].TargetObject | Should -Be 'pack-000007'
        Assert-Unwound $probe $halfDone
    }

    It 'unwinds before Stop() returns: <Name>' -ForEach @(
        @{ Name = 'work that writes'; Silent = $false }
        @{ Name = 'work that is silent'; Silent = $true }
    ) {
        $shell = Open-Session
        try {
            $splatWork = @{ Probe = $probe; HalfDone = $halfDone; Silent = $Silent; WithProgress = $true }
            $running = $shell.AddCommand('Invoke-TestWork').AddParameters($splatWork).BeginInvoke()
            $probe.Started.Wait(30000) | Should -BeTrue
            $shell.Stop()
            $running.IsCompleted | Should -BeTrue
            $shell.InvocationStateInfo.State | Should -Be 'Stopped'
            Assert-Unwound $probe $halfDone
        } finally {
            $shell.Dispose()
        }
    }

    It 'is given up after its time, with the prompt back and no wrong claim, if it does not listen' {
        $shell = Open-Session
        try {
            $splatWork = @{ Probe = $probe; HalfDone = $halfDone; Deaf = $true }
            $null = $shell.AddCommand('Invoke-TestWork').AddParameters($splatWork).BeginInvoke()
            $probe.Started.Wait(30000) | Should -BeTrue
            $shell.Stop()
            $shell.InvocationStateInfo.State | Should -Be 'Stopped'
            $probe.Unwound | Should -BeFalse
        } finally {
            $probe.Gate.Set()
            $shell.Dispose()
        }
    }

    It 'takes its progress down when <How>' -ForEach @(
        @{ How = 'Select-Object has had enough'; Script = { param($Work) Invoke-TestWork @Work | Select-Object -First 1 } }
        @{ How = 'an error ends it'; Script = { param($Work) Invoke-TestWork @Work -ErrorAt 2 -ErrorAction Stop } }
    ) {
        $shell = Open-Session
        try {
            $work = @{ Probe = $probe; HalfDone = $halfDone; WithProgress = $true }
            try { $null = $shell.AddScript($Script.ToString()).AddArgument($work).Invoke() } catch { $null = $_ }
            $records = @($shell.Streams.Progress | Where-Object Activity -In 'Outer', 'Inner')
            $open = $records | Group-Object ActivityId | Where-Object { $_.Group[-1].RecordType -ne 'Completed' }
            $records | Should -HaveCount 4
            $open | Should -BeNullOrEmpty
        } finally {
            $shell.Dispose()
        }
    }

    It 'tells of a failure to unwind without hiding why it was stopped' {
        {
            Invoke-TestWork -Probe $probe -HalfDone $halfDone -ErrorAt 1 -FailToUnwind -ErrorAction Stop
        } | Should -Throw -ErrorId 'SmcChecksumMismatch,*'
        Assert-Unwound $probe $halfDone

        $said = & (Get-TestShell) -NoProfile -NonInteractive -Command @"
Import-Module '$supportPath'
Import-Module -Assembly (Get-TestCmdletAssembly -Module '$module' -Path '$assembly')
Invoke-TestWork -Probe (New-TestProbe) -HalfDone '$halfDone' -FailToUnwind | Select-Object -First 1
"@
        $said -join ' ' | Should -Match 'WARNING: While stopping: An upload could not be aborted\.'
    }
}

Describe 'Questions from a worker' {
    BeforeEach { $probe = New-TestProbe }

    It 'answers -WhatIf with no' {
        'orders' | Invoke-TestQuestion -Probe $probe -WhatIf | Should -BeFalse
        $probe.Unwound | Should -BeTrue
    }

    It 'answers -Confirm:$false with yes, and goes on on another thread than the pipeline''s' {
        'orders' | Invoke-TestQuestion -Probe $probe -Confirm:$false | Should -BeTrue
        $probe.PipelineThread | Should -Not -Be 0
        $probe.ContinuationThread | Should -Not -Be $probe.PipelineThread
    }

    It 'asks for each input' {
        'a', 'b', 'c' | Invoke-TestQuestion -Probe $probe -WhatIf | Should -Be $false, $false, $false
    }

    It 'unwinds and gives PowerShell''s own error where nobody can be asked: <Name>' -ForEach @(
        @{ Name = '-Confirm'; Arguments = @{ Confirm = $true } }
        @{ Name = 'ShouldContinue'; Arguments = @{ Continue = $true } }
    ) {
        $shell = Open-Session
        try {
            $null = $shell.AddCommand('Invoke-TestQuestion').AddParameters(@{ Target = 'orders'; Probe = $probe })
            $null = $shell.AddParameters($Arguments)
            { $shell.Invoke() } | Should -Throw
            $probe.Unwound | Should -BeTrue
            $shell.HadErrors | Should -BeTrue
        } finally {
            $shell.Dispose()
        }
    }
}

Describe 'Streams of a worker' {
    It 'carries every stream from several threads, in each phase' {
        # Not -Debug, which asks whether to go on after each message.
        $DebugPreference = 'Continue'
        $all = @(1..2 | Write-TestStream -Verbose -ErrorAction SilentlyContinue *>&1)
        $objects = $all | Where-Object { $_ -is [string] -or $_ -is [int] }
        $objects[0] | Should -Be 'begin'
        $objects[-1] | Should -Be 'end'
        @($objects | Where-Object { $_ -is [int] }) | Should -HaveCount 40
        foreach ($type in 'VerboseRecord', 'DebugRecord', 'WarningRecord', 'InformationRecord') {
            @($all | Where-Object { $_.GetType().Name -eq $type }) | Should -HaveCount 40 -Because $type
        }
    }

    It 'tags information' {
        $null = 1 | Write-TestStream -WarningAction Ignore -ErrorAction Ignore -InformationVariable said
        $said[0].Tags | Should -Be 'SmcDr', 'Audit'
    }

    It 'ends at a warning under -WarningAction Stop' {
        { 1 | Write-TestStream -WarningAction Stop -ErrorAction Ignore } | Should -Throw
    }
}

Describe 'Errors of a worker' {
    It 'maps <_.ErrorId> with its category and recommendation' -ForEach $codes {
        $code = $_
        $failure = $null
        try { Invoke-TestFailure -Code $code.Code } catch { $failure = $_ }
        $failure.FullyQualifiedErrorId | Should -Be "Smc$($code.Code),SmcDr.PowerShell.TestCmdlets.InvokeTestFailureCommand"
        "$($failure.CategoryInfo.Category)" | Should -Be "$($code.Category)"
        $failure.TargetObject | Should -Be 'the target'
        $failure.ErrorDetails.RecommendedAction | Should -Be $code.Recommendation
        $failure.Exception | Should -BeOfType [SmcDr.SmcException]
    }

    It 'ends the command, not the script, under $ErrorActionPreference Continue' {
        $shell = Open-Session
        try {
            $script = "Invoke-TestFailure -Code WalGap; 'next statement'"
            $shell.AddScript($script).Invoke() | Should -Be 'next statement'
            $shell.Streams.Error[0].FullyQualifiedErrorId | Should -BeLike 'SmcWalGap,*'
        } finally {
            $shell.Dispose()
        }
    }

    It 'makes <Name> <Id>' -ForEach @(
        @{ Name = 'an unforeseen exception'; Given = [System.FormatException]::new('odd'); Id = 'SmcInternalError' }
        @{ Name = 'a cancellation that nobody asked for'; Given = [System.OperationCanceledException]::new('odd'); Id = 'SmcInternalError' }
        @{
            Name  = 'a timeout of a client'
            Given = [System.Threading.Tasks.TaskCanceledException]::new('slow', [System.TimeoutException]::new())
            Id    = 'SmcOperationTimedOut'
        }
        @{
            Name  = 'an aggregate of one'
            Given = [System.AggregateException]::new([SmcDr.SmcException]::new('WalGap', 'A gap.'))
            Id    = 'SmcWalGap'
        }
    ) {
        $failure = $null
        try { Invoke-TestFailure -Exception $Given } catch { $failure = $_ }
        $failure.FullyQualifiedErrorId | Should -BeLike "$Id,*"
        $failure.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
    }

    It 'leaves PowerShell''s own errors as they are' {
        $own = [System.Management.Automation.ItemNotFoundException]::new('gone')
        { Invoke-TestFailure -Exception $own } | Should -Throw 'gone'
    }

    It 'lets the worker catch what a call into the session throws, and go on' {
        Invoke-TestFailure -Path '/no/such/path' | Should -BeLike 'caught *'
    }
}

Describe 'Progress' {
    It 'shows the first report at once, then one each 200 ms, and the last that was held back' {
        $reports = foreach ($at in 0..100) { @{ At = $at * 3; Activity = 'Copy'; Done = $at; Total = 1000 } }
        $shown = Get-TestProgress -Report (@($reports) + @{ At = 2000 })
        $shown.At | Should -Be 0, 200, 400
        $shown[-1].PercentComplete | Should -Be 10
    }

    It 'shows a report that is followed by silence within 200 ms' {
        $shown = Get-TestProgress -Report @(
            @{ At = 0; Activity = 'Recover'; Status = 'Copying files' }
            @{ At = 50; Activity = 'Recover'; Status = 'Waiting for WAL' }
            @{ At = 10000 }
        )
        $shown.At | Should -Be 0, 200
        $shown[-1].StatusDescription | Should -Be 'Waiting for WAL'
    }

    It 'throttles each activity on its own and nests them' {
        $shown = Get-TestProgress -Report @(
            @{ At = 0; Activity = 'Outer'; Status = 'a' }
            @{ At = 1; Activity = 'Inner'; Status = 'b'; Parent = 'Outer' }
            @{ At = 2; Activity = 'Inner'; Completed = $true; Parent = 'Outer' }
            @{ At = 3; Activity = 'Outer'; Completed = $true }
            @{ At = 900 }
        )
        $shown.At | Should -Be 0, 1, 2, 3
        $shown.ParentActivityId | Should -Be -1, $shown[0].ActivityId, $shown[0].ActivityId, -1
        $shown[2].RecordType | Should -Be 'Completed'
        $shown[3].RecordType | Should -Be 'Completed'
    }

    It 'tells bytes, rate and what is left' {
        $shown = Get-TestProgress -Report @(
            @{ At = 0; Activity = 'Copy'; Status = 'base/5'; Done = 0; Total = 1GB }
            @{ At = 1000; Activity = 'Copy'; Status = 'base/5'; Done = 256MB; Total = 1GB }
        )
        $shown[-1].StatusDescription | Should -Be 'base/5, 256.0 MiB of 1.0 GiB, 256.0 MiB/s, 3.0 s left'
        $shown[-1].SecondsRemaining | Should -Be 3
        $shown[-1].PercentComplete | Should -Be 25
    }

    It 'says nothing of when it will be done where that is beyond all measure' {
        $shown = Get-TestProgress -Report @(
            @{ At = 0; Activity = 'Copy'; Done = 0; Total = 8TB }
            @{ At = 5000; Activity = 'Copy'; Done = 40; Total = 8TB }
        )
        $shown[-1].StatusDescription | Should -Be '40 B of 8.0 TiB, 8 B/s'
        $shown[-1].SecondsRemaining | Should -Be -1
    }

    It 'measures the rate over the last seconds' {
        $reports = @{ At = 0; Activity = 'Copy'; Done = 0; Total = 200MB }, @{ At = 1000; Activity = 'Copy'; Done = 100MB; Total = 200MB }
        $slow = foreach ($second in 2..20) { @{ At = $second * 1000; Activity = 'Copy'; Done = 100MB + $second * 1MB; Total = 200MB } }
        (Get-TestProgress -Report ($reports + $slow))[-1].StatusDescription | Should -BeLike '*, 1.0 MiB/s, *'
    }

    It 'claims no percentage where the total is unknown, and describes even what says nothing' {
        $shown = Get-TestProgress -Report @(@{ At = 0; Activity = 'Wait' })
        $shown[0].PercentComplete | Should -Be -1
        $shown[0].SecondsRemaining | Should -Be -1
        $shown[0].StatusDescription | Should -Be 'Working'
    }

    It 'counts things as things' {
        $shown = Get-TestProgress -Report @(@{ At = 0; Activity = 'Files'; Done = 1200; Total = 4000; Unit = 'Items' })
        $shown[0].StatusDescription | Should -Be '1,200 of 4,000'
    }

    It 'is not confused by an activity that comes again' {
        $shown = Get-TestProgress -Report @(
            @{ At = 0; Activity = 'Copy' }
            @{ At = 1; Activity = 'Copy'; Completed = $true }
            @{ At = 2; Activity = 'Copy' }
        )
        $shown | Should -HaveCount 3
        $shown[2].ActivityId | Should -Not -Be $shown[0].ActivityId
    }
}
