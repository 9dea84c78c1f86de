#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }, SmcDr

# With every change of the version, the host or PostgreSQL: a database is made, loses its data and its server, and comes back. Needs no site.

param(
    # How much data, such as 64MiB.
    [string] $Size = '64MiB',

    # The report, as .html or .md; empty = none.
    [string] $Report = ''
)

BeforeAll {
    Import-Module ([System.IO.Path]::Combine((Get-Module -Name SmcDr).ModuleBase, 'Drills', 'SmcDr.Pester.psm1'))
    $how = $Report ? @{ Report = $Report } : @{}
    $drill = Invoke-SmcDrill $Size @how -Confirm:$false -ErrorAction SilentlyContinue
}

Describe 'The drill' -Tag 'Drill' {
    It 'passes in every step' {
        $failed = $drill.Steps | Where-Object Outcome -EQ 'Failed'
        $failed.Name | Should -BeNullOrEmpty -Because "$($failed.Detail)"
    }

    It 'brings back all that was acknowledged, and nothing else' {
        $drill.Acknowledged | Should -BeGreaterThan 0
        $drill.UnexpectedRows | Should -Be 0
        $drill.Succeeded | Should -BeTrue
    }

    It 'meets its objectives' {
        $drill | Should -MeetSmcObjective
    }
}
