#Requires -Version 7.6

<#
.SYNOPSIS
Leads a site to another region in two steps: a plan that a person approves, and the same plan carried out.

.DESCRIPTION
Without -Approval nothing is changed: the plan is written, with what would be lost, and with a code that stands for the site, the region, the kind of failover and the steps. With
-Approval, the plan is made again; where its code is another one, because something has changed since it was approved, the script refuses. So what is carried out is what was approved.

The failover is noted in the site's open incident, or in one that is opened for it, with who approved it. The last thing that is written to the output is a document of JSON. The exit
code is 0 where the plan was made, or the site was led over or is there already, and 1 otherwise. Run again after an interruption, with the same approval, it goes on.

.EXAMPLE
pwsh -NoProfile -NonInteractive -File region-failover.ps1 -Site /etc/smcdr/orders.yaml -Region west

Shows the plan and its code, and changes nothing.

.EXAMPLE
pwsh -NoProfile -NonInteractive -File region-failover.ps1 -Site /etc/smcdr/orders.yaml -Region west -Approval 3f9a61c2d4b07e15 -ApprovedBy 'R. Meier'

Carries it out, if it is still the plan that was approved.
#>
[CmdletBinding()]
param(
    # The site file.
    [Parameter(Mandatory)]
    [string] $Site,

    # The region that is to lead.
    [Parameter(Mandatory)]
    [string] $Region,

    # Loses nothing, on the host of the primary. Without it, the failover is for a region that is lost, and refuses while its primary gives signs of life.
    [switch] $Planned,

    # The code of the plan that was approved.
    [string] $Approval,

    # Who approved it.
    [string] $ApprovedBy,

    # Tells no channel of the site.
    [switch] $NoAlert,

    # The module, by its name or the path of its manifest.
    [string] $Module = 'SmcDr'
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Import-Module -Name $Module
$result = [ordered]@{ outcome = 'Planned'; region = $Region; approval = $null; lossBytes = $null; steps = @(); problem = $null }
$failover = @{ Site = $Site; Region = $Region; Planned = $Planned }
try {
    if ($Approval -and -not $ApprovedBy) {
        throw 'An approval needs the name of who gave it: -ApprovedBy.'
    }

    $state = Get-SmcRegion -Site $Site -Name $Region
    $result.lossBytes = $state.LossBytes
    $unfinished = Get-SmcPlan -Site $Site | Where-Object { $_.State -eq 'Unfinished' -and $_.Operation -eq 'Start-SmcRegionFailover' } | Select-Object -First 1
    if (-not $unfinished -and $state.Role -eq 'Primary') {
        $result.outcome = 'AlreadyDone'
        $result | ConvertTo-Json -Depth 4
        exit 0
    }

    $steps = @($unfinished ? (Resume-SmcPlan -Site $Site -PlanId $unfinished.PlanId -WhatIf) : (Start-SmcRegionFailover @failover -WhatIf -WarningVariable told))
    # A rehearsal is held also while the primary lives. Nobody is asked to approve what would be refused.
    $refusal = $unfinished ? $null : ($told | Where-Object { "$_" -like 'This would be refused now.*' } | Select-Object -First 1)
    if ($refusal) {
        throw "$refusal"
    }

    $result.steps = @($steps | ForEach-Object { [ordered]@{ title = $_.Title; state = "$($_.State)"; predictedSeconds = $_.PredictedSeconds } })

    # What is approved is which steps are taken where to, not how far they are: an interrupted failover is the same one.
    $text = @($Site, $Region, [bool] $Planned) + $steps.Step -join "`n"
    $hash = [System.Security.Cryptography.SHA256]::HashData([System.Text.Encoding]::UTF8.GetBytes($text))
    $result.approval = [System.Convert]::ToHexStringLower($hash).Substring(0, 16)

    if ($Approval) {
        if ($Approval -ne $result.approval) {
            throw "What was approved ($Approval) is not what would be done now ($($result.approval)). Look at the plan again, and have that approved."
        }

        if (-not (Get-SmcIncident -Site $Site -Open)) {
            $null = Start-SmcIncident -Site $Site "The site is led to the region $Region" -Scenario RegionFailure -NoAlert:$NoAlert
        }

        $null = Add-SmcIncidentNote -Site $Site "The failover to the region $Region was approved by $ApprovedBy ($Approval)."
        $done = @($unfinished ? (Resume-SmcPlan -Site $Site -PlanId $unfinished.PlanId -Confirm:$false) : (Start-SmcRegionFailover @failover -Confirm:$false))
        $result.steps = @($done | ForEach-Object { [ordered]@{ title = $_.Title; state = "$($_.State)"; detail = $_.Detail } })
        $result.outcome = 'Succeeded'
    }
} catch {
    $result.outcome = 'Failed'
    $result.problem = "$($_.Exception.Message) $($_.ErrorDetails.RecommendedAction)".Trim()
}

$result | ConvertTo-Json -Depth 4
exit ($result.outcome -eq 'Failed' ? 1 : 0)
