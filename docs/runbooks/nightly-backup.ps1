#Requires -Version 7.6

<#
.SYNOPSIS
Backs up all that a site has, looks whether everything has a complete backup that is new enough, and tells the site's channels what is wrong.

.DESCRIPTION
For a scheduler that starts a script. It asks nothing. The last thing that it writes to its output is a document of JSON: outcome, backups and problems. The exit code is 0
where all is well, and 1 where anything is not, so that the scheduler shows it too.

.EXAMPLE
pwsh -NoProfile -NonInteractive -File nightly-backup.ps1 -Site /etc/smcdr/orders.yaml -Heartbeat

Each night: backs up, verifies, and tells the dead man's switch that all is well.
#>
[CmdletBinding()]
param(
    # The site file.
    [Parameter(Mandatory)]
    [string] $Site,

    # How old the newest backup of anything may be.
    [string] $NewerThan = '26h',

    # Tells the site's dead man's switch where all is well (alerts.heartbeatUrl).
    [switch] $Heartbeat,

    # Tells no channel of the site.
    [switch] $NoAlert,

    # The module, by its name or the path of its manifest.
    [string] $Module = 'SmcDr'
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Import-Module -Name $Module
$problems = [System.Collections.Generic.List[string]]::new()

# One part that fails does not stop the others, and whatever becomes of the backup, what there is must be looked at.
$written = @()
try {
    Backup-SmcSystem -Site $Site -Label "nightly $(Get-Date -AsUTC -Format 'yyyy-MM-dd')" -Confirm:$false -ErrorAction Continue -ErrorVariable failures -OutVariable written |
        Out-Null
} catch {
    $failures = @($_)
}
$failures | ForEach-Object { $problems.Add($_.Exception.Message) }

try {
    Test-SmcBackup -Site $Site -NewerThan $NewerThan | Where-Object Outcome -NE 'Passed' | ForEach-Object {
        $problems.Add("$($_.Component) $($_.Id): $($_.Outcome). $($_.Problems.Message -join ' ')".Trim())
    }
} catch {
    $problems.Add($_.Exception.Message)
}

try {
    if ($problems.Count -gt 0 -and -not $NoAlert) {
        $null = Send-SmcAlert -Site $Site 'The nightly backup is not as it must be' -Text ($problems -join "`n") -Key nightly-backup
    } elseif ($problems.Count -eq 0 -and $Heartbeat) {
        $null = Send-SmcHeartbeat -Site $Site
    }
} catch {
    $problems.Add($_.Exception.Message)
}

[ordered]@{
    outcome  = $problems.Count -eq 0 ? 'Succeeded' : 'Failed'
    backups  = @($written | Where-Object { $_ -is [SmcDr.BackupInfo] } | ForEach-Object {
            [ordered]@{ component = $_.Component; id = $_.Id; state = $_.State; storedBytes = $_.StoredBytes }
        })
    problems = @($problems)
} | ConvertTo-Json -Depth 4
exit ($problems.Count -eq 0 ? 0 : 1)
