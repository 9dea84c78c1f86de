#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }, SmcDr

# Each night: whether there are backups that could be restored, and what would be lost now. Nothing is changed.

param(
    # The site file.
    [Parameter(Mandatory)] [string] $Site,

    # How old the newest backup of everything may be.
    [string] $NewerThan = '26h',

    # Reads every byte.
    [switch] $Deep
)

BeforeAll {
    Import-Module ([System.IO.Path]::Combine((Get-Module -Name SmcDr).ModuleBase, 'Drills', 'SmcDr.Pester.psm1'))
}

Describe 'The backups of a site' -Tag 'Backup' {
    It 'belong to a site that is sound' {
        $failed = Test-SmcSite $Site | Where-Object Outcome -EQ 'Failed'
        $failed.Name | Should -BeNullOrEmpty -Because "$($failed.Message)"
    }

    It 'are there of everything, new enough and whole' {
        $failed = Test-SmcBackup -Site $Site -NewerThan $NewerThan -Deep:$Deep | Where-Object Outcome -EQ 'Failed'
        $failed.Component | Should -BeNullOrEmpty -Because "$($failed.Problems.Message)"
    }

    It 'lose no more, and take no longer, than the objectives allow' {
        Measure-SmcObjective -Site $Site -WarningAction SilentlyContinue | Should -MeetSmcObjective
    }
}
