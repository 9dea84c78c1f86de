#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

Describe 'A drill' {
    BeforeAll {
        Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
        Import-Module (Get-SmcModulePath) -Global
        $place = [System.IO.Directory]::CreateTempSubdirectory('smcdr-pester-').FullName
        chmod 755 $place
    }

    AfterAll {
        Remove-Item -LiteralPath $place -Recurse -Force
    }

    It 'does nothing with -WhatIf' {
        Get-HostText { Invoke-SmcDrill -WorkDirectory $place -WhatIf } | Should -BeLike "*$place*"
        Get-ChildItem -LiteralPath $place | Should -BeNullOrEmpty
    }

    It 'is refused for a size that it cannot have' {
        Assert-SmcError SmcArgumentInvalid { Invoke-SmcDrill -Size 5 -WorkDirectory $place }
        Get-ChildItem -LiteralPath $place | Should -BeNullOrEmpty
    }

    It 'is run, told step by step, reported, and leaves nothing behind' {
        $report = Join-Path $TestDrive 'drill.html'
        $splatDrill = @{
            Size                = 20MB
            WorkDirectory       = $place
            Report              = $report
            InformationVariable = 'steps'
            ErrorVariable       = 'failures'
            ErrorAction         = 'SilentlyContinue'
            WarningAction       = 'SilentlyContinue'
        }
        $result = Invoke-SmcDrill @splatDrill
        $failures | Should -BeNullOrEmpty
        $result | Should -BeOfType [SmcDr.DrillResult]
        $result.Succeeded | Should -BeTrue
        $result.UnexpectedRows | Should -Be 0
        $result.RpoSeconds | Should -BeLessOrEqual 2 -Because 'that is what the WAL stream promises'
        $result.RedisLeftOut | Should -BeNullOrEmpty
        $result.RedisRecovered | Should -BeGreaterOrEqual 1000
        $result.RedisUnexpectedKeys | Should -Be 0
        $result.RedisRtoSeconds | Should -BeLessOrEqual $result.RedisRtoObjectiveSeconds
        $result.RedisRpoSeconds | Should -BeLessOrEqual $result.RedisRpoObjectiveSeconds
        ($result | Format-List | Out-String) | Should -Match 'RedisRtoObjectiveSeconds\s+: 300'
        @($steps | Where-Object Tags -Contains 'Drill').Count | Should -Be $result.Steps.Count
        $result.ReportPath | Should -Be $report
        $report | Should -Exist
        Get-ChildItem -LiteralPath $place | Should -BeNullOrEmpty
    }
}
