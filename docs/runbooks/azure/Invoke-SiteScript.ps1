#Requires -Version 5.1

<#
.SYNOPSIS
A runbook of Azure Automation that runs one of the scripts beside it on a Hybrid Runbook Worker, and fails where that fails.

.DESCRIPTION
Azure Automation runs runbooks in a PowerShell of its own choice. The scripts need 7.6, which is installed on the worker, so they run in a process of their own. What they write, the
document of JSON at the end included, is the output of the job.

.EXAMPLE
./Invoke-SiteScript.ps1 -Script nightly-backup.ps1 -Parameters '{ "Site": "/etc/smcdr/orders.yaml", "Heartbeat": true }'

What a schedule of Azure Automation starts each night.
#>
[CmdletBinding()]
param(
    # The script, below -Directory.
    [Parameter(Mandatory)]
    [ValidateSet('nightly-backup.ps1', 'monthly-restore-test.ps1', 'region-failover.ps1')]
    [string] $Script,

    # Its parameters as a document of JSON, true for a switch: that is what schedules and webhooks can pass.
    [Parameter(Mandatory)]
    [string] $Parameters,

    # Where the scripts are on the worker.
    [string] $Directory = '/opt/smcdr/runbooks',

    # PowerShell 7.6 on the worker.
    [string] $Shell = 'pwsh'
)

$ErrorActionPreference = 'Stop'
$arguments = @('-NoProfile', '-NonInteractive', '-File', (Join-Path -Path $Directory -ChildPath $Script))
foreach ($property in (ConvertFrom-Json -InputObject $Parameters).PSObject.Properties) {
    if ($property.Name -notmatch '^[A-Za-z]+$') {
        throw "'$($property.Name)' is not the name of a parameter."
    }

    if ($property.Value -is [bool]) {
        if ($property.Value) { $arguments += "-$($property.Name)" }
    } else {
        $arguments += "-$($property.Name)", [string] $property.Value
    }
}

& $Shell @arguments
if ($LASTEXITCODE -ne 0) {
    throw "$Script ended with $LASTEXITCODE; its output says why."
}
