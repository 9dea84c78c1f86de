#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }, SmcDr

# Each week: whether the other region could take over now, and what that would do. Nothing is changed.

param(
    # The site file.
    [Parameter(Mandatory)] [string] $Site,

    # The region that is to take over.
    [Parameter(Mandatory)] [string] $Region,

    # How far it may be behind.
    [timespan] $Rpo = '00:05:00'
)

BeforeAll {
    $state = Get-SmcRegion $Region -Site $Site
    $steps = Start-SmcRegionFailover $Region -Force -Site $Site -WhatIf
}

Describe 'A failover' -Tag 'Failover' {
    It 'leads to a region that can take over' {
        $state.CanTakeOver | Should -BeTrue -Because "$($state.Obstacles)"
        $state.Problems | Should -BeNullOrEmpty
    }

    It 'leads to a region that is not too far behind' {
        $state.LagSeconds ?? 0 | Should -BeLessOrEqual $Rpo.TotalSeconds
    }

    It 'has a plan that shuts the old primary out before the new one leads' {
        $names = @($steps.Step)
        $names.IndexOf('fence-region') | Should -BeGreaterOrEqual 0
        $names.IndexOf('promote-database') | Should -BeGreaterThan $names.IndexOf('fence-region')
    }
}
