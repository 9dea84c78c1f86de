#Requires -Version 7.6

<#
.SYNOPSIS
Recovers the site's database to a server that is thrown away, twice: from the newest backup, and to an instant that is drawn by chance.

.DESCRIPTION
For a scheduler that starts a script, on a host that has PostgreSQL's programs and room for the whole cluster. It asks nothing. Each test tells the site's channels of its result and
leaves a certificate in the repository. The last thing that is written to the output is a document of JSON. The exit code is 0 where both passed, warnings included, and 1 otherwise.

.EXAMPLE
pwsh -NoProfile -NonInteractive -File monthly-restore-test.ps1 -Site /etc/smcdr/orders.yaml -WorkDirectory /mnt/scratch

Each month.
#>
[CmdletBinding()]
param(
    # The site file.
    [Parameter(Mandatory)]
    [string] $Site,

    # Where the cluster is recovered to for the while. Without it, /var/tmp.
    [string] $WorkDirectory,

    # Tells no channel of the site.
    [switch] $NoAlert,

    # The module, by its name or the path of its manifest.
    [string] $Module = 'SmcDr'
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Import-Module -Name $Module
$common = @{ Site = $Site; NoAlert = $NoAlert; Confirm = $false }
if ($WorkDirectory) {
    $common.WorkDirectory = $WorkDirectory
}

$problems = [System.Collections.Generic.List[string]]::new()
$tests = foreach ($which in @{}, @{ Random = $true }) {
    try {
        # An alert that was not delivered is an error that comes behind the result: the result counts all the same.
        Test-SmcRecovery @common @which -ErrorAction Continue -ErrorVariable failures
        $failures | ForEach-Object { $problems.Add($_.Exception.Message) }
    } catch {
        # Nothing was tested and nothing certified: a full disk, say.
        $problems.Add($_.Exception.Message)
    }
}

foreach ($test in $tests) {
    $test.Checks | Where-Object Outcome -EQ 'Failed' | ForEach-Object { $problems.Add("$($_.Name) $($_.Target): $($_.Message)") }
}

[ordered]@{
    outcome  = $problems.Count -eq 0 ? 'Succeeded' : 'Failed'
    tests    = @($tests | ForEach-Object {
            [ordered]@{ id = $_.TestId; outcome = $_.Outcome; target = $_.TargetKind; recoverySeconds = $_.RecoverySeconds; objectiveSeconds = $_.ObjectiveSeconds }
        })
    problems = @($problems)
} | ConvertTo-Json -Depth 4
exit ($problems.Count -eq 0 ? 0 : 1)
