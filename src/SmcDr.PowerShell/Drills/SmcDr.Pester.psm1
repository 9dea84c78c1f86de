#Requires -Version 7.6

# One operator for Pester: 'Should -MeetSmcObjective'. Import Pester first, then this. SmcDr itself does without Pester, so it is a module of its own.

# What a result says of itself: what went wrong, how long the recovery took, what was lost, and the objectives that it knows.
function Get-Fact {
    param($Result)

    $fact = @{ Name = "$Result"; Failure = $null; Recovery = $null; Rto = $null; Loss = $null; Rpo = $null }
    switch ($Result.PSObject.TypeNames[0]) {
        'SmcDr.ObjectiveResult' {
            $fact.Name = "$($Result.Component) $($Result.Subject)".Trim() + " of $($Result.Site)"
            $fact.Recovery = $Result.PredictedRecoverySeconds
            $fact.Rto = $Result.Rto
            $fact.Loss = $Result.LossSeconds
            $fact.Rpo = $Result.Rpo
        }
        'SmcDr.RecoveryTestResult' {
            $fact.Name = "the recovery test $($Result.TestId)"
            if ($Result.Outcome -eq 'Failed') {
                $fact.Failure = "it failed: $(($Result.Checks | Where-Object Outcome -EQ 'Failed' | ForEach-Object Message) -join ' ')"
            }

            $fact.Recovery = $Result.RecoverySeconds
            $fact.Rto = $Result.ObjectiveSeconds
        }
        'SmcDr.RecoveryResult' {
            $fact.Name = "the recovery to '$($Result.DataDirectory)'"
            $fact.Recovery = $Result.DurationSeconds
        }
        'SmcDr.ComponentRecovery' {
            $fact.Name = "the recovery of $("$($Result.Component) $($Result.Subject)".Trim())"
            $fact.Recovery = $Result.RecoverySeconds
            $fact.Rto = $Result.Rto
            $fact.Loss = $Result.LossSeconds
            $fact.Rpo = $Result.Rpo
        }
        'SmcDr.RegionFailoverResult' {
            $fact.Name = "the failover from '$($Result.From)' to '$($Result.To)'"
            $fact.Recovery = $Result.MeasuredRtoSeconds
            $fact.Rto = $Result.Rto
            $fact.Loss = $Result.LossSeconds
            $fact.Rpo = $Result.Rpo
        }
        'SmcDr.DrillResult' {
            $fact.Name = 'the drill'
            if (-not $Result.Succeeded) {
                $fact.Failure = "it failed: $($Result.LostAcknowledged) of $($Result.Acknowledged) acknowledged rows are lost, $($Result.UnexpectedRows) are too many"
            }

            $fact.Recovery = $Result.RtoSeconds
            $fact.Rto = $Result.RtoObjectiveSeconds
            $fact.Loss = $Result.RpoSeconds
            $fact.Rpo = $Result.RpoObjectiveSeconds
        }
        default {
            $fact.Name = "a $($Result.GetType().Name)"
            $fact.Failure = 'that has neither a time of recovery nor a loss'
        }
    }

    $fact
}

function Get-Second {
    param($Value)

    $Value -is [timespan] ? $Value.TotalSeconds : $Value
}

# Why a result does not meet its objectives, as sentences; nothing where it does.
function Find-Shortfall {
    param($Result, $Rto, $Rpo)

    if ($null -eq $Result) {
        return 'there is nothing to judge'
    }

    if ($Result.PSObject.TypeNames[0] -eq 'SmcDr.SystemRestoreResult') {
        return $Result.Components | ForEach-Object { Find-Shortfall $_ $Rto $Rpo }
    }

    $fact = Get-Fact $Result
    if ($fact.Failure) {
        return "$($fact.Name): $($fact.Failure)"
    }

    $judged = $false
    $sides = @(
        @{ What = 'back after'; Value = $fact.Recovery; Limit = Get-Second ($Rto ?? $fact.Rto) }
        @{ What = 'a loss of'; Value = $fact.Loss; Limit = Get-Second ($Rpo ?? $fact.Rpo) }
    )
    foreach ($side in $sides | Where-Object { $null -ne $_.Limit }) {
        $judged = $true
        if ($null -eq $side.Value) {
            "$($fact.Name): $($side.What) nobody knows how long, objective $([SmcDr.DisplayText]::Seconds($side.Limit))"
        } elseif ($side.Value -gt $side.Limit) {
            "$($fact.Name): $($side.What) $([SmcDr.DisplayText]::Seconds($side.Value)), objective $([SmcDr.DisplayText]::Seconds($side.Limit))"
        }
    }

    if (-not $judged) {
        "$($fact.Name): there is no objective to judge it by; give -Rto or -Rpo, or the site file 'objectives'"
    }
}

function Assert-MeetSmcObjective {
    <#
    .SYNOPSIS
    Asserts that a recovery, a measurement or a drill meets its objectives: those of the site, or those that are given.
    #>
    [CmdletBinding()]
    param(
        # What Measure-SmcObjective, Test-SmcRecovery, Invoke-SmcDrill, Restore-SmcSystem or a recovery returns; each of several must meet them.
        $ActualValue,

        # The time within which it must be back, in place of the site's.
        [nullable[timespan]] $Rto,

        # The time of which at most the data may be lost, in place of the site's.
        [nullable[timespan]] $Rpo,

        [switch] $Negate,

        [string] $Because,

        # Pester passes it.
        $CallerSessionState
    )

    $null = $CallerSessionState
    $results = @($ActualValue)
    # What is not known is not met: nobody must take silence for a yes.
    $shortfalls = @(
        if ($results.Count -eq 0) {
            'there is nothing to judge'
        }

        foreach ($result in $results) {
            Find-Shortfall $result $Rto $Rpo
        }
    )
    $isMet = $shortfalls.Count -eq 0
    $why = $Because ? ", because $($Because -replace '^because\s+')" : ''
    [pscustomobject]@{
        Succeeded      = $isMet -ne $Negate.IsPresent
        FailureMessage = $isMet ? "Expected the objectives not to be met$why, but they are." : "Expected the objectives to be met$why, but $($shortfalls -join '; ')."
    }
}

if (-not (Get-Command -Name Add-ShouldOperator -ErrorAction Ignore)) {
    throw 'Import Pester 5 before this module: it adds an operator to Pester''s Should.'
}

$splatOperator = @{
    Name               = 'MeetSmcObjective'
    InternalName       = 'Assert-MeetSmcObjective'
    Test               = ${function:Assert-MeetSmcObjective}
    SupportsArrayInput = $true
}
Add-ShouldOperator @splatOperator
Export-ModuleMember -Function Assert-MeetSmcObjective
