#Requires -Version 7.6

<#
.SYNOPSIS
Writes the help of the staged module, from documentation comments: as Get-Help reads it, or as pages in Markdown.

.DESCRIPTION
What a comment says is told once: the summary of a cmdlet's class is its synopsis, the remarks are its description, the summaries of
its properties describe the parameters, and each <example> is one, with its <code> and what the code does. An <exception> with a
<see cref="SmcErrorCode.Name"/> is an error that operators meet, and <seealso> a related cmdlet, or by href an about topic. Syntax and parameter
attributes are those of the loaded module. Errors come from SmcErrors and the comments of their codes. Run in a process of its own, because it
imports the module.

.EXAMPLE
./New-ModuleHelp.ps1 -Module out/SmcDr/SmcDr.psd1

Writes the help file and the about topics into the staged module's en-US.

.EXAMPLE
./New-ModuleHelp.ps1 -Module out/SmcDr/SmcDr.psd1 -Docs docs

Writes the pages of the cmdlets below docs, and the table of errors into docs/troubleshooting.md.
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    # The manifest of the staged module.
    [Parameter(Mandatory)]
    [string] $Module,

    # The directory of the documentation. With it, pages are written there, and nothing into the module.
    [string] $Docs,

    # The page on troubleshooting into which the table of errors is written. Without it, the one below -Docs.
    [string] $Troubleshooting,

    # The address below which the pages of docs/en-US are shown, for Get-Help -Online. Without it, the help in the module has no address.
    [string] $OnlineHelp
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

Import-Module (Join-Path $PSScriptRoot 'SmcDr.Help.psm1')
# A path without a directory at its beginning would be looked for as the name of a module.
$Module = Convert-Path -LiteralPath $Module
$imported = Import-Module -Name $Module -PassThru
$bin = Join-Path (Split-Path -Path $Module) 'bin'
$topics = Join-Path $PSScriptRoot 'en-US'
$help = @(Read-CmdletHelp -Module $imported -Members (Read-Documentation (Join-Path $bin 'SmcDr.PowerShell.xml')))
$models = Read-Documentation (Join-Path $bin 'SmcDr.xml')
$failures = @(Read-ErrorHelp -Members $models)
if ($Docs) {
    if ($PSCmdlet.ShouldProcess($Docs, 'Write pages')) {
        $splatPages = @{
            Help            = $help
            ErrorHelp       = $failures
            Models          = @(Read-ModelHelp -Help $help -Members $models)
            Groups          = (Import-PowerShellDataFile -LiteralPath (Join-Path $PSScriptRoot 'Groups.psd1')).Groups
            Topics          = $topics
            Troubleshooting = $Troubleshooting ? $Troubleshooting : (Join-Path $Docs 'troubleshooting.md')
            Directory       = $Docs
        }
        Export-MarkdownHelp @splatPages
    }
} else {
    $target = Join-Path (Split-Path -Path $Module) 'en-US'
    if ($PSCmdlet.ShouldProcess($target, 'Write help')) {
        $null = New-Item -ItemType Directory -Path $target -Force
        Export-MamlHelp -Help $help -Path (Join-Path $target 'SmcDr-Help.xml') -OnlineHelp $OnlineHelp
        Export-AboutTopic -Source $topics -ErrorHelp $failures -Directory $target
    }
}
