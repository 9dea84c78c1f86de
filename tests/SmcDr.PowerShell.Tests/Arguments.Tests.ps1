#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

BeforeAll {
    $supportPath = [System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')
    Import-Module $supportPath -Force
    $module = Get-SmcModulePath
    $assembly = Join-Path (Build-TestProject TestCmdlets) 'SmcDr.PowerShell.TestCmdlets.dll'
    Import-Module -Assembly (Get-TestCmdletAssembly -Module $module -Path $assembly)

    function Get-Refusal([scriptblock] $Script) {
        try {
            $null = & $Script
        } catch {
            for ($reason = $_.Exception; $reason; $reason = $reason.InnerException) {
                if ($reason -is [SmcDr.SmcException]) {
                    return $reason
                }
            }

            throw
        }

        throw 'The argument was accepted.'
    }

    function ConvertTo-Site([string] $Name, [string] $Path) {
        [SmcDr.SiteInfo]@{ Name = $Name; Path = $Path; Repository = 'file:///r'; Regions = [string[]]@('east') }
    }
}

Describe 'An instant' {
    It 'is read from <Text>' -ForEach @(
        @{ Text = '2026-11-05T10:00:00Z'; Expected = '2026-11-05T10:00:00.0000000+00:00' }
        @{ Text = '2026-11-05t10:00:00z'; Expected = '2026-11-05T10:00:00.0000000+00:00' }
        @{ Text = '2026-11-05 10:00Z'; Expected = '2026-11-05T10:00:00.0000000+00:00' }
        @{ Text = '2026-11-05T11:00:00.250+01:00'; Expected = '2026-11-05T10:00:00.2500000+00:00' }
        @{ Text = '2026-11-05 04:30:00.123456789-0530'; Expected = '2026-11-05T10:00:00.1234567+00:00' }
        @{ Text = '2026-11-05 10:00:00.999999+00'; Expected = '2026-11-05T10:00:00.9999990+00:00' }
        @{ Text = ' 2026-11-05T10:00:00Z '; Expected = '2026-11-05T10:00:00.0000000+00:00' }
    ) {
        (Get-TestArgument -Instant $Text).ToString('o') | Should -Be $Expected
    }

    It 'is the same on a machine in another time zone and with another culture' {
        $read = foreach ($zone in 'America/New_York', 'Asia/Tokyo') {
            $env:TZ = $zone
            try {
                Invoke-FreshPwsh -Parameters @{ Module = $module; Assembly = $assembly; Support = $supportPath } -Script {
                    param($Module, $Assembly, $Support)
                    [cultureinfo]::CurrentCulture = 'en-GB'
                    Import-Module $Support
                    Import-Module -Assembly (Get-TestCmdletAssembly -Module $Module -Path $Assembly)
                    (Get-TestArgument -Instant '2026-11-05T10:00:00Z').ToString('o')
                    $json = '{"Time":"2026-11-05T19:00:00+09:00"}' | ConvertFrom-Json
                    (Get-TestArgument -Instant $json.Time).ToString('o')
                    (Get-TestArgument -Instant ([DateTimeOffset]'2026-11-05T11:00:00+01:00')).ToString('o')
                }
            } finally {
                Remove-Item env:TZ
            }
        }
        $read | Should -Be @(, '2026-11-05T10:00:00.0000000+00:00' * 6)
    }

    It 'is read from a DateTime that knows its zone' {
        $utc = [datetime]::new(2026, 11, 5, 10, 0, 0, [System.DateTimeKind]::Utc)
        (Get-TestArgument -Instant $utc).UtcDateTime | Should -Be $utc
        (Get-TestArgument -Instant $utc.ToLocalTime()).UtcDateTime | Should -Be $utc
        (Get-TestArgument -Instant (Get-Date $utc)).UtcDateTime | Should -Be $utc
    }

    It 'is read relative to now from <Text>' -ForEach @(
        @{ Text = '-10m'; Seconds = 600 }
        @{ Text = '-90s'; Seconds = 90 }
        @{ Text = '-1h30m'; Seconds = 5400 }
        @{ Text = '-2d'; Seconds = 172800 }
    ) {
        $before = [DateTimeOffset]::UtcNow
        $read = Get-TestArgument -Instant $Text
        $after = [DateTimeOffset]::UtcNow
        $read | Should -BeGreaterOrEqual $before.AddSeconds(-$Seconds)
        $read | Should -BeLessOrEqual $after.AddSeconds(-$Seconds)
    }

    It 'is read relative to now where PowerShell takes the unquoted text for a number' {
        $before = [DateTimeOffset]::UtcNow
        # To PowerShell's parser -90s is a 16-bit integer and -2d a decimal.
        (Get-TestArgument -Instant -90s) | Should -BeGreaterOrEqual $before.AddSeconds(-90)
        (Get-TestArgument -Instant -2d) | Should -BeLessOrEqual $before.AddDays(-1)
        (Get-TestArgument -Instant:-2d) | Should -BeLessOrEqual $before.AddDays(-1)
    }

    It 'is refused as ambiguous, with the accepted forms shown: <Name>' -ForEach @(
        @{ Name = 'no zone'; Given = '2026-11-05T10:00:00' }
        @{ Name = 'a culture''s form'; Given = '05/11/2026 10:00' }
        @{ Name = 'a time of day'; Given = '10:00' }
        @{ Name = 'a date'; Given = '2026-11-05' }
        @{ Name = 'an unspecified DateTime'; Given = [datetime]'2026-11-05T10:00:00' }
    ) {
        $refusal = Get-Refusal { Get-TestArgument -Instant $Given }
        $refusal.ErrorId | Should -Be 'SmcTargetTimeAmbiguous'
        $refusal.Recommendation | Should -BeLike '*2026-11-05T10:00:00Z*'
    }

    It 'is refused as no time, with the accepted forms shown: <Name>' -ForEach @(
        @{ Name = 'a day that is not'; Given = '2026-02-30T10:00:00Z' }
        @{ Name = 'an hour that is not'; Given = '2026-02-20T25:00:00Z' }
        @{ Name = 'the future'; Given = '+10m' }
        @{ Name = 'a number'; Given = 1700000000 }
        @{ Name = 'nothing'; Given = '' }
        @{ Name = 'too long ago'; Given = '-999999999d' }
        @{ Name = 'before the year one'; Given = '-900000d' }
    ) {
        $refusal = Get-Refusal { Get-TestArgument -Instant $Given }
        $refusal.ErrorId | Should -Be 'SmcArgumentInvalid'
        $refusal.Recommendation | Should -BeLike '*2026-11-05T10:00:00Z*'
    }
}

Describe 'A duration' {
    It 'is read from <Given>' -ForEach @(
        @{ Given = '15m'; Seconds = 900 }
        @{ Given = '90s'; Seconds = 90 }
        @{ Given = '1h30m'; Seconds = 5400 }
        @{ Given = '2d'; Seconds = 172800 }
        @{ Given = '500ms'; Seconds = 0.5 }
        @{ Given = '1.5s'; Seconds = 1.5 }
        @{ Given = '2w'; Seconds = 1209600 }
        @{ Given = '00:15:00'; Seconds = 900 }
        @{ Given = '1.00:00:00'; Seconds = 86400 }
        @{ Given = 'PT15M'; Seconds = 900 }
        @{ Given = 'P1DT2H'; Seconds = 93600 }
        @{ Given = [timespan]::FromSeconds(7); Seconds = 7 }
    ) {
        (Get-TestArgument -Duration $Given).TotalSeconds | Should -Be $Seconds
    }

    It 'is read unquoted' {
        (Get-TestArgument -Duration 90s).TotalSeconds | Should -Be 90
        (Get-TestArgument -Duration 2d).TotalDays | Should -Be 2
    }

    It 'is refused: <Given>' -ForEach @(
        @{ Given = 30 }, @{ Given = '30' }, @{ Given = '-5m' }, @{ Given = '5 apples' }, @{ Given = '' }, @{ Given = 'P1Y' },
        @{ Given = 'P' }, @{ Given = 'PT' }, @{ Given = '30m1h' }, @{ Given = '999999999d' }, @{ Given = [timespan]::FromSeconds(-1) }
    ) {
        $refusal = Get-Refusal { Get-TestArgument -Duration $Given }
        $refusal.ErrorId | Should -Be 'SmcArgumentInvalid'
        $refusal.Message | Should -BeLike '*15m*'
    }
}

Describe 'A size' {
    It 'is read from <Given>' -ForEach @(
        @{ Given = 1048576; Bytes = 1048576 }
        @{ Given = 64MB; Bytes = 67108864 }
        @{ Given = '200MB'; Bytes = 200000000 }
        @{ Given = '64MiB'; Bytes = 67108864 }
        @{ Given = '1.5gib'; Bytes = 1610612736 }
        @{ Given = '2 TiB'; Bytes = 2199023255552 }
        @{ Given = '10 B'; Bytes = 10 }
        @{ Given = [long]::MaxValue; Bytes = [long]::MaxValue }
    ) {
        Get-TestArgument -Size $Given | Should -Be $Bytes
    }

    It 'is read unquoted, PowerShell''s own multiples as PowerShell means them' {
        Get-TestArgument -Size 64MB | Should -Be 64MB
        Get-TestArgument -Size 64MiB | Should -Be 64MB
        Get-TestArgument -Size 5 | Should -Be 5
    }

    It 'is refused: <Given>' -ForEach @(
        @{ Given = '-1' }, @{ Given = -1 }, @{ Given = '1,5g' }, @{ Given = '5 apples' }, @{ Given = '' }, @{ Given = '5' },
        @{ Given = '9999999999PiB' }, @{ Given = [double]::NaN }, @{ Given = 1e30 }
    ) {
        (Get-Refusal { Get-TestArgument -Size $Given }).ErrorId | Should -Be 'SmcArgumentInvalid'
    }
}

Describe 'A site' {
    BeforeAll {
        $file = [System.IO.Path]::Combine($TestDrive, 'a', 'smcdr.yaml')
        $null = New-Item -ItemType Directory (Split-Path $file)
        Set-Content -LiteralPath $file -Value 'name: a'
        Use-TestSite -Site (ConvertTo-Site 'smc-trading' '/etc/smcdr/trading.yaml')
        Use-TestSite -Site (ConvertTo-Site 'Smc Reporting' '/etc/smcdr/reporting.yaml')
        Use-TestSite -Site (ConvertTo-Site 'it''s mine' '/etc/smcdr/mine.yaml')
    }

    It 'is read from a path, also one of a PowerShell drive or a directory' {
        Get-TestArgument -Site $file | Should -Be $file
        Get-TestArgument -Site 'TestDrive:/a/smcdr.yaml' | Should -Be $file
        Get-TestArgument -Site (Split-Path $file) | Should -Be $file
        Push-Location $TestDrive
        try { Get-TestArgument -Site './a' | Should -Be $file } finally { Pop-Location }
    }

    It 'is read from a file, a SiteInfo, and from the pipeline' {
        Get-TestArgument -Site (Get-Item $file) | Should -Be $file
        Get-TestArgument -Site (ConvertTo-Site 'x' '/x.yaml') | Should -Be '/x.yaml'
        ConvertTo-Site 'x' '/x.yaml' | Get-TestArgument | Should -Be '/x.yaml'
        Get-Item $file | Get-TestArgument | Should -Be $file
    }

    It 'is read from a name that the session knows, in any case' {
        Get-TestArgument -Site 'SMC-trading' | Should -Be '/etc/smcdr/trading.yaml'
    }

    It 'is refused where it cannot be one' {
        (Get-Refusal { Get-TestArgument -Site 5 }).ErrorId | Should -Be 'SmcArgumentInvalid'
        (Get-Refusal { Get-TestArgument -Site 'env:PATH' }).ErrorId | Should -Be 'SmcArgumentInvalid'
        (Get-Refusal { Get-TestArgument -Site 'nodrive:/x' }).ErrorId | Should -Be 'SmcSiteNotFound'
    }

    It 'is completed from <Typed>' -ForEach @(
        @{ Typed = 'smc-t'; Expected = 'smc-trading' }
        @{ Typed = 'SMC R'; Expected = "'Smc Reporting'" }
        @{ Typed = "'smc-t"; Expected = "'smc-trading'" }
        @{ Typed = '"smc-t'; Expected = '"smc-trading"' }
        @{ Typed = "it"; Expected = "'it''s mine'" }
    ) {
        $typedWord = $Typed.Contains(' ') ? "'$Typed" : $Typed
        $line = "Get-TestArgument -Site $typedWord"
        $found = [System.Management.Automation.CommandCompletion]::CompleteInput($line, $line.Length, $null)
        $found.CompletionMatches.CompletionText | Should -Be $Expected
    }

    It 'is the session''s own: another runspace does not see it' {
        (Get-TestSite).Name | Should -Be "it's mine", 'Smc Reporting', 'smc-trading'
        (Get-TestSite | Where-Object IsCurrent).Name | Should -Be "it's mine"
        1..2 | ForEach-Object -Parallel {
            Import-Module $using:supportPath
            Import-Module -Assembly (Get-TestCmdletAssembly -Module $using:module -Path $using:assembly)
            $own = [SmcDr.SiteInfo]@{ Name = "branch $_"; Path = '/b'; Repository = 'r'; Regions = [string[]]@() }
            @(Get-TestSite).Count
            Use-TestSite -Site $own
            (Get-TestSite).Name
        } | Sort-Object { "$_" } | Should -Be 0, 0, 'branch 1', 'branch 2'
    }
}
