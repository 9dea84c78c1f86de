#Requires -Version 7.6
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest

# What commands remember on a host is not to be mixed with what this account remembers.
if (-not $env:SMCDR_STATE_DIR) {
    $env:SMCDR_STATE_DIR = Join-Path ([System.IO.Path]::GetTempPath()) "smcdr-pester-state-$PID"
}

$root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))

function Get-SmcModulePath {
    <#
    .SYNOPSIS
    The staged module that is tested: SMCDR_MODULE, or out/SmcDr of this repository.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param()

    $path = $env:SMCDR_MODULE ? $env:SMCDR_MODULE : [System.IO.Path]::Combine($root, 'out', 'SmcDr', 'SmcDr.psd1')
    if (-not [System.IO.File]::Exists($path)) {
        throw "There is no staged module at '$path'. Run ./build.ps1 first, or name the module by SMCDR_MODULE."
    }

    $path
}

function Build-TestProject {
    <#
    .SYNOPSIS
    Builds a project beside the tests, once in this process, and gives the folder with its assemblies.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)]
        [ValidateSet('OtherVersions', 'TestCmdlets')]
        [string] $Name
    )

    $project = Join-Path $PSScriptRoot $Name
    $done = "SmcDr.TestSupport.$Name"
    if (-not [System.AppContext]::GetData($done)) {
        # As build.ps1 has just built what it needs: with other properties all of that would be compiled once more.
        $output = dotnet build $project --configuration Release --verbosity quiet --nologo -p:RunAnalyzers=false 2>&1
        if ($LASTEXITCODE -ne 0) {
            throw "dotnet build of $Name failed:`n$($output -join "`n")"
        }

        # The process remembers, not the module: every test file imports it anew.
        [System.AppDomain]::CurrentDomain.SetData($done, $true)
    }

    [System.IO.Path]::Combine($project, 'bin', 'Release', 'net10.0')
}

function Get-TestCmdletAssembly {
    <#
    .SYNOPSIS
    Imports SmcDr and loads the test cmdlets into its load context, for Import-Module -Assembly.
    #>
    [CmdletBinding()]
    [OutputType([System.Reflection.Assembly])]
    param(
        [Parameter(Mandatory)]
        [string] $Module,

        [Parameter(Mandatory)]
        [string] $Path
    )

    Import-Module $Module -Global
    $context = [System.Runtime.Loader.AssemblyLoadContext]::All | Where-Object Name -EQ 'SmcDr'
    $context.LoadFromAssemblyPath($Path)
}

function Invoke-FreshPwsh {
    <#
    .SYNOPSIS
    Runs a script in a pwsh process of its own and gives what it wrote, by way of JSON.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)]
        [scriptblock] $Script,

        [hashtable] $Parameters = @{}
    )

    $values = ConvertTo-Json -InputObject $Parameters -Compress
    $text = @"
`$ErrorActionPreference = 'Stop'
`$ProgressPreference = 'SilentlyContinue'
`$given = ConvertFrom-Json -AsHashtable '$($values.Replace("'", "''"))'
try {
    `$result = & { $Script } @given
    '>>>' + (ConvertTo-Json -InputObject @(`$result) -Depth 4 -Compress)
} catch {
    '!!!' + `$_.Exception.Message + ' ' + `$_.ScriptStackTrace
}
"@
    $encoded = [System.Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($text))
    $output = & (Get-TestShell) -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand $encoded
    $failure = @($output) -like '!!!*'
    if ($failure) {
        throw "In the fresh process: $($failure.Substring(3))"
    }

    $json = @($output) -like '>>>*'
    if (-not $json) {
        throw "The fresh process ended with $LASTEXITCODE and said: $($output -join "`n")"
    }

    ConvertFrom-Json -InputObject $json[0].Substring(3) -NoEnumerate -DateKind String | ForEach-Object { $_ }
}

function Get-FreePort {
    <#
    .SYNOPSIS
    A port of the loopback interface that nobody has at this moment.
    #>
    [CmdletBinding()]
    [OutputType([int])]
    param()

    $listener = [System.Net.Sockets.TcpListener]::new([System.Net.IPAddress]::Loopback, 0)
    $listener.Start()
    $listener.LocalEndpoint.Port
    $listener.Stop()
}

# The PowerShell that runs the tests, as a program: as a .NET tool it runs in 'dotnet', and is found by its name.
function Get-TestShell {
    $program = [System.Environment]::ProcessPath
    [System.IO.Path]::GetFileNameWithoutExtension($program) -eq 'dotnet' ? 'pwsh' : $program
}

Export-ModuleMember -Function Get-SmcModulePath, Get-TestShell, Get-FreePort, Build-TestProject, Get-TestCmdletAssembly, Invoke-FreshPwsh
