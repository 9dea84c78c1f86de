#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }, SmcDr

# Each month: the database and the directories of a site are really brought back, beside what runs, and thrown away.

param(
    # The site file.
    [Parameter(Mandatory)] [string] $Site,

    # Where to: room for the whole cluster.
    [string] $WorkDirectory = '/var/tmp',

    # Asks the site's queries, and leaves out the reading of every table and index.
    [switch] $QueriesOnly
)

BeforeDiscovery {
    # Tests are made of what there is before the first of them runs.
    $stores = Get-SmcBackup -Site $Site -Component FileStore -State Complete | Sort-Object -Property StartTime | Group-Object -Property Name |
        ForEach-Object { @{ Name = $_.Name; Id = $_.Group[-1].Id } }
    $hasDatabase = [bool] (Get-SmcBackup -Site $Site -Component Database -State Complete | Select-Object -First 1)
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine((Get-Module -Name SmcDr).ModuleBase, 'Drills', 'SmcDr.Pester.psm1'))
}

Describe 'The database from <From>' -Tag 'Recovery' -Skip:(-not $hasDatabase) -ForEach @(
    @{ From = 'the newest backup'; How = @{} }
    @{ From = 'an instant drawn by chance'; How = @{ Random = $true } }
) {
    BeforeAll {
        $result = Test-SmcRecovery @How -Site $Site -WorkDirectory $WorkDirectory -QueriesOnly:$QueriesOnly -NoAlert -Confirm:$false
    }

    It 'comes back with all that is asked of it' {
        $failed = $result.Checks | Where-Object Outcome -EQ 'Failed'
        $failed.Name | Should -BeNullOrEmpty -Because "$($failed.Message)"
    }

    It 'comes back in time' {
        $result | Should -MeetSmcObjective
    }
}

Describe 'The directory <Name>' -Tag 'Recovery' -Skip:(-not $stores) -ForEach ($stores ?? @(@{ Name = 'of none'; Id = '' })) {
    BeforeAll {
        $destination = Join-Path $WorkDirectory "smcdr-drill-$([guid]::NewGuid().ToString('N'))"
        $result = Restore-SmcFileStore $Name -BackupId $Id -Site $Site -Destination $destination -Confirm:$false
    }

    AfterAll {
        if ($destination -and (Test-Path -LiteralPath $destination)) {
            Remove-Item -LiteralPath $destination -Recurse -Force
        }
    }

    It 'comes back whole' {
        $result.Problems | Should -BeNullOrEmpty
        $result.State | Should -Be 'Complete'
    }
}
