#Requires -Version 7.6

function Open-TestReceiver {
    <#
    .SYNOPSIS
    Starts a web server or an SMTP server on the loopback interface that fails as it is told; see tests/tools/receivers.py.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param([Parameter(Mandatory)] [string[]] $Argument)

    $start = [System.Diagnostics.ProcessStartInfo]::new('python3')
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.ArgumentList.Add([System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..', 'tools', 'receivers.py')))
    foreach ($one in $Argument) {
        $start.ArgumentList.Add($one)
    }

    $process = [System.Diagnostics.Process]::Start($start)
    [pscustomobject]@{ Process = $process; Port = [int] $process.StandardOutput.ReadLine() }
}

function Read-TestReceiver {
    <#
    .SYNOPSIS
    Gives what a receiver has received next.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] [pscustomobject] $Receiver)

    $Receiver.Process.StandardOutput.ReadLine() | ConvertFrom-Json
}

function Close-TestReceiver {
    <#
    .SYNOPSIS
    Ends a receiver.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] [pscustomobject] $Receiver)

    $Receiver.Process.StandardInput.Close()
    $Receiver.Process.WaitForExit()
    $Receiver.Process.Dispose()
}
