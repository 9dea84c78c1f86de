#Requires -Version 7.4

<#
.SYNOPSIS
Builds, tests, analyzes, documents and packs the PowerShell module.

.DESCRIPTION
Build stages the module in out/SmcDr. Test runs Pester on what is staged, Analyze runs PSScriptAnalyzer over all scripts,
Docs writes what is generated from the code, and Pack makes an archive of the staged module. Program makes the program smcdr in out/smcdr,
which hosts without .NET run; Image makes a container image of smcdr
as an OCI archive, out of the shared libraries of this machine and without Docker. Needs the .NET SDK; Test needs Pester 5, Analyze needs
PSScriptAnalyzer, Image needs Linux on x86-64.

.EXAMPLE
./build.ps1 -Task Build, Test

.EXAMPLE
./build.ps1 -Task Build, Pack -OnlineHelp https://docs.example.com/smcdr

Packs a module whose Get-Help -Online opens https://docs.example.com/smcdr/Backup-SmcDatabase.md, where docs/en-US is shown there.
#>
[CmdletBinding()]
param(
    # What to do, in this order.
    [ValidateSet('Build', 'Test', 'Analyze', 'Docs', 'Pack', 'Program', 'Image')]
    [string[]] $Task = 'Build',

    # The build configuration.
    [ValidateSet('Debug', 'Release')]
    [string] $Configuration = 'Release',

    # Where the pages of docs/en-US are shown, such as https://docs.example.com/smcdr: what Get-Help -Online opens. Without it, help has no address.
    [ValidateScript({ $_.IsAbsoluteUri -and $_.Scheme -in 'http', 'https' }, ErrorMessage = "'{0}' is no address of a web site.")]
    [uri] $OnlineHelp
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$dotnetConfiguration = $Configuration
$helpAddress = $OnlineHelp
$output = Join-Path $PSScriptRoot 'out'
$staged = Join-Path $output 'SmcDr'
$results = Join-Path $output 'test-results'

function Assert-Native {
    param([string] $Name)

    if ($LASTEXITCODE -ne 0) {
        throw "$Name ended with $LASTEXITCODE."
    }
}

# The program of this shell. Where it was installed as a .NET tool, the process is that of dotnet.
function Get-Shell {
    $program = [Environment]::ProcessPath
    [System.IO.Path]::GetFileNameWithoutExtension($program) -eq 'dotnet' ? 'pwsh' : $program
}

function Assert-Staged {
    if (-not (Test-Path -LiteralPath (Join-Path $staged 'SmcDr.psd1'))) {
        throw "The module is not staged in '$staged'; run './build.ps1 -Task Build' first."
    }
}

# Writes help in a process of its own: this one would keep the module's assemblies until it ends, and the next build could not replace them.
function Invoke-HelpScript {
    param([hashtable] $Arguments)

    $write = {
        param([string] $Script, [hashtable] $Arguments)
        $ErrorActionPreference = 'Stop'
        & $Script @Arguments
    }
    $script = Join-Path $PSScriptRoot 'src' 'SmcDr.PowerShell' 'Help' 'New-ModuleHelp.ps1'
    & (Get-Shell) -NoProfile -NonInteractive -Command $write -args $script, $Arguments
    Assert-Native 'pwsh'
}

function Invoke-BuildTask {
    if (Test-Path -LiteralPath $staged) {
        Remove-Item -LiteralPath $staged -Recurse -Force
    }

    $source = Join-Path $PSScriptRoot 'src' 'SmcDr.PowerShell'
    dotnet publish $source -c $dotnetConfiguration -o (Join-Path $staged 'bin') -v quiet -nologo -p:RunAnalyzers=false
    Assert-Native 'dotnet publish'

    Copy-Item -LiteralPath (Join-Path $PSScriptRoot 'SmcDr.psd1') -Destination $staged
    Get-ChildItem -LiteralPath $source -File |
        Where-Object Extension -In '.psm1', '.ps1xml' |
        Copy-Item -Destination $staged
    Copy-Item -LiteralPath (Join-Path $source 'Drills') -Destination $staged -Recurse
    # One beside the module would be loaded in place of PowerShell's own, and then no cmdlet is one.
    $intruder = Get-ChildItem -LiteralPath $staged -Recurse -Filter 'System.Management.Automation.dll'
    if ($intruder) {
        throw "'$($intruder.FullName)' must not be in the module."
    }

    $manifest = Join-Path $staged 'SmcDr.psd1'
    $null = Test-ModuleManifest -Path $manifest
    $arguments = @{ Module = $manifest }
    if ($helpAddress) {
        $arguments.OnlineHelp = $helpAddress.AbsoluteUri
    }

    Invoke-HelpScript $arguments
    Write-Host "Staged in $staged"
}

function Invoke-TestTask {
    Assert-Staged
    Import-Module -Name Pester -MinimumVersion 5.0
    $null = New-Item -ItemType Directory -Path $results -Force
    $pester = New-PesterConfiguration
    $pester.Run.Path = Join-Path $PSScriptRoot 'tests' 'SmcDr.PowerShell.Tests'
    $pester.Run.PassThru = $true
    $pester.Output.Verbosity = 'Normal'
    $pester.Output.RenderMode = 'Plaintext'
    $pester.TestResult.Enabled = $true
    $pester.TestResult.OutputPath = Join-Path $results 'pester.xml'

    $result = Invoke-Pester -Configuration $pester
    $failed = $result.FailedCount
    if ($failed -eq 0) {
        # A file that cannot be read, or an AfterAll that throws, fails without a test that does.
        $failed = $result.FailedBlocksCount + $result.FailedContainersCount
    }

    $counts = [ordered]@{
        passed  = $result.PassedCount
        failed  = $failed
        skipped = $result.SkippedCount + $result.InconclusiveCount + $result.NotRunCount
    }
    $counts | ConvertTo-Json | Set-Content -LiteralPath (Join-Path $results 'pester.json')
    # What CI prints at its end: in Pester's own output it lies far above, and its file of results knows no AfterAll.
    $(foreach ($one in @($result.Failed) + @($result.FailedBlocks) + @($result.FailedContainers)) {
            $one.PSObject.Properties['ExpandedPath'] ? $one.ExpandedPath : $one.Item
            foreach ($record in $one.ErrorRecord) {
                "$record`n$($record.ScriptStackTrace)" -split '\r?\n' | Select-Object -First 12 | ForEach-Object { "     $_" }
            }
        }) | Set-Content -LiteralPath (Join-Path $results 'pester-failed.txt')
    if ($counts.failed -gt 0) {
        throw "$($counts.failed) of Pester's tests failed."
    }
}

function Invoke-AnalyzeTask {
    if (-not (Get-Module -ListAvailable -Name PSScriptAnalyzer)) {
        Write-Host 'PSScriptAnalyzer is not here: the scripts were not analyzed.'
        return
    }

    Assert-Staged
    Import-Module -Name PSScriptAnalyzer
    $splatAnalyzer = @{
        Severity    = 'Error', 'Warning'
        # Write-Host is what a build script talks to people with.
        ExcludeRule = 'PSAvoidUsingWriteHost'
    }
    $files = @(
        Join-Path $PSScriptRoot 'build.ps1'
        # The staged manifest: only there are the files that it names beside it.
        Join-Path $staged 'SmcDr.psd1'
        Get-ChildItem -Path ('src', 'tests', 'docs' | ForEach-Object { Join-Path $PSScriptRoot $_ }) -Recurse -File -Include '*.ps1', '*.psm1', '*.psd1' |
            Where-Object FullName -NotMatch '[\\/](bin|obj)[\\/]' |
            ForEach-Object FullName
    )
    # What a BeforeAll assigns and a param block takes is used in other blocks, and a helper such as New-Site asks nobody: the analyzer does not know Pester.
    $splatTests = @{
        Severity    = $splatAnalyzer.Severity
        ExcludeRule = 'PSReviewUnusedParameter', 'PSUseDeclaredVarsMoreThanAssignments', 'PSUseShouldProcessForStateChangingFunctions'
    }
    $findings = @(foreach ($file in $files) {
            if ($file -like '*.Tests.ps1') {
                Invoke-ScriptAnalyzer -Path $file @splatTests
            }
            else {
                Invoke-ScriptAnalyzer -Path $file @splatAnalyzer
            }
        })
    if ($findings.Count -gt 0) {
        $findings | Format-Table -Property Severity, ScriptName, Line, RuleName, Message -Wrap | Out-String -Width 160 | Write-Host
        throw "PSScriptAnalyzer has $($findings.Count) findings."
    }

    Write-Host "PSScriptAnalyzer finds nothing in $($files.Count) files."
}

function Invoke-DocsTask {
    Assert-Staged
    # In a process of its own: this one keeps the assembly until it ends, and the next build could not replace it.
    $path = Join-Path $PSScriptRoot 'docs' 'site.schema.json'
    $write = {
        param([string] $Bin, [string] $Path)
        $ErrorActionPreference = 'Stop'
        $null = [System.Reflection.Assembly]::LoadFrom((Join-Path $Bin 'SmcDr.Core.dll'))
        [System.IO.File]::WriteAllText($Path, [SmcDr.Core.Sites.SiteSchema]::Generate())
    }
    & (Get-Shell) -NoProfile -NonInteractive -Command $write -args (Join-Path $staged 'bin'), $path
    Assert-Native 'pwsh'
    Invoke-HelpScript @{ Module = (Join-Path $staged 'SmcDr.psd1'); Docs = (Join-Path $PSScriptRoot 'docs') }
    Write-Host "Wrote $path, docs/en-US and the table of errors in docs/troubleshooting.md"
}

function Invoke-PackTask {
    Assert-Staged
    $version = (Import-PowerShellDataFile -LiteralPath (Join-Path $staged 'SmcDr.psd1')).ModuleVersion
    $archive = Join-Path $output "SmcDr-$version.zip"
    Compress-Archive -LiteralPath $staged -DestinationPath $archive -Force
    $hash = (Get-FileHash -LiteralPath $archive -Algorithm SHA256).Hash.ToLowerInvariant()
    Set-Content -LiteralPath "$archive.sha256" -Value "$hash  $(Split-Path -Path $archive -Leaf)"
    Write-Host "Packed $archive"
    if (-not (Get-Command -Name Compress-PSResource -ErrorAction Ignore)) {
        Write-Host 'Microsoft.PowerShell.PSResourceGet is not here, or older than 1.1: no .nupkg was made.'
        return
    }

    $package = Join-Path $output "SmcDr.$version.nupkg"
    if (Test-Path -LiteralPath $package) {
        Remove-Item -LiteralPath $package
    }

    Compress-PSResource -Path $staged -DestinationPath $output
    $hash = (Get-FileHash -LiteralPath $package -Algorithm SHA256).Hash.ToLowerInvariant()
    Set-Content -LiteralPath "$package.sha256" -Value "$hash  $(Split-Path -Path $package -Leaf)"
    Write-Host "Packed $package"
}

function Invoke-ProgramTask {
    $program = Join-Path $output 'smcdr'
    if (Test-Path -LiteralPath $program) {
        Remove-Item -LiteralPath $program -Recurse -Force
    }

    $source = Join-Path $PSScriptRoot 'src' 'SmcDr.Cli'
    dotnet publish $source -c $dotnetConfiguration --use-current-runtime --self-contained -p:InvariantGlobalization=true -o $program -v quiet -nologo -p:RunAnalyzers=false
    Assert-Native 'dotnet publish'
    Write-Host "Made the program in $program"
}

function Invoke-ImageTask {
    $application = Join-Path $output 'image'
    if (Test-Path -LiteralPath $application) {
        Remove-Item -LiteralPath $application -Recurse -Force
    }

    $source = Join-Path $PSScriptRoot 'src' 'SmcDr.Cli'
    # The image has no ICU, which is larger than all the rest.
    dotnet publish $source -c $dotnetConfiguration -r linux-x64 --self-contained -p:InvariantGlobalization=true -o $application -v quiet -nologo -p:RunAnalyzers=false
    Assert-Native 'dotnet publish'
    $version = (Import-PowerShellDataFile -LiteralPath (Join-Path $PSScriptRoot 'SmcDr.psd1')).ModuleVersion
    $splatImage = @{
        Application = $application
        Path        = Join-Path $output "smcdr-$version-oci.tar"
        Version     = $version
    }
    $image = & ([System.IO.Path]::Combine($source, 'Image', 'New-OciImage.ps1')) @splatImage
    $postgres = if ($image.PostgresVersion) { "logical backups with PostgreSQL's programs of $($image.PostgresVersion -join ', ')" } else { "no logical backups: this machine has none of PostgreSQL's programs" }
    $postgres += $image.ServerVersion ? ", tests of recovery with its server of $($image.ServerVersion -join ', ')" : ', no tests of recovery: this machine has no server of it'
    Write-Host "Made $($image.Path): $($image.Image), $([System.Math]::Round($image.SizeBytes / 1MB)) MB, $($image.Digest); $postgres"
}

# Docs reads what Build staged and Pack packs it, whatever order was typed.
foreach ($name in 'Build', 'Program', 'Image', 'Test', 'Analyze', 'Docs', 'Pack') {
    if ($name -in $Task) {
        & "Invoke-${name}Task"
    }
}
