#Requires -Version 7.6

function Assert-SmcError {
    <#
    .SYNOPSIS
    Runs a script that must end with an error of SmcDr, and checks that the error says what to do. Gives the error.
    #>
    [CmdletBinding()]
    [OutputType([System.Management.Automation.ErrorRecord])]
    param(
        [Parameter(Mandatory)] [string] $Id,
        [Parameter(Mandatory)] [scriptblock] $Script
    )

    $caught = $null
    try {
        $null = & $Script
    } catch {
        $caught = $_
    }

    if (-not $caught) {
        throw "Expected $Id, but there was no error."
    }

    "$($caught.FullyQualifiedErrorId): $($caught.Exception.Message)" | Should -BeLike "$Id,SmcDr.PowerShell.Commands.*"
    $caught.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
    $caught.CategoryInfo.Category | Should -Not -Be 'NotSpecified'
    $caught
}

function Get-HostText {
    <#
    .SYNOPSIS
    Runs a script and gives what it wrote for people, which is where -WhatIf writes to.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param([Parameter(Mandatory)] [scriptblock] $Script)

    $path = Join-Path ([System.IO.Path]::GetTempPath()) "smcdr-pester-$([guid]::NewGuid()).txt"
    try {
        $null = Start-Transcript -LiteralPath $path -UseMinimalHeader
        try {
            $null = & $Script
        } finally {
            $null = Stop-Transcript
        }

        Get-Content -LiteralPath $path -Raw
    } finally {
        Remove-Item -LiteralPath $path
    }
}

function Get-DirectoryState {
    <#
    .SYNOPSIS
    Everything below a directory, with sizes and times: the same twice means that nothing was changed.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param([Parameter(Mandatory)] [string] $Path)

    Get-ChildItem -LiteralPath $Path -Recurse -Force |
        Sort-Object -Property FullName |
        ForEach-Object { '{0} {1} {2:o}' -f $_.FullName, ($_.PSIsContainer ? '-' : $_.Length), $_.LastWriteTimeUtc } |
        Join-String -Separator "`n"
}

function Wait-Until {
    <#
    .SYNOPSIS
    Waits for a condition, and fails where it does not come to hold.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $What,
        [Parameter(Mandatory)] [scriptblock] $Condition,
        [int] $Seconds = 60
    )

    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    while (-not (& $Condition)) {
        if ($watch.Elapsed.TotalSeconds -gt $Seconds) {
            throw "Waited $Seconds s in vain: $What."
        }

        Start-Sleep -Milliseconds 100
    }
}

function Get-Completion {
    <#
    .SYNOPSIS
    What the Tab key offers behind a line; an empty offer where there is nothing.
    #>
    [CmdletBinding()]
    [OutputType([System.Management.Automation.CompletionResult])]
    param([Parameter(Mandatory)] [string] $Line)

    $found = [System.Management.Automation.CommandCompletion]::CompleteInput($Line, $Line.Length, $null).CompletionMatches
    $found.Count -gt 0 ? $found : [System.Management.Automation.CompletionResult]::new('nothing')
}
