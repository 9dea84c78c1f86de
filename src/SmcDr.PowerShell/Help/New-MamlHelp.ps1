#Requires -Version 7.6

<#
.SYNOPSIS
Writes the module's help, as Get-Help reads it, from the documentation comments of the cmdlets.

.DESCRIPTION
What a comment says is told once: the summary of a cmdlet's class is its synopsis, the remarks are its description, the summaries of
its properties describe the parameters, and each <example> is one, with its <code> and what the code does. Syntax and parameter
attributes are those of the loaded module. Run in a process of its own, because it imports the module.

.EXAMPLE
./New-MamlHelp.ps1 -Module out/SmcDr/SmcDr.psd1 -Documentation out/SmcDr/bin/SmcDr.PowerShell.xml -Path out/SmcDr/en-US/SmcDr-Help.xml
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    # The manifest of the staged module.
    [Parameter(Mandatory)]
    [string] $Module,

    # The compiler's XML documentation of the cmdlets.
    [Parameter(Mandatory)]
    [string] $Documentation,

    # The help file to write.
    [Parameter(Mandatory)]
    [string] $Path
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$mamlNamespace = 'http://schemas.microsoft.com/maml/2004/10'
$commandNamespace = 'http://schemas.microsoft.com/maml/dev/command/2004/10'
$devNamespace = 'http://schemas.microsoft.com/maml/dev/2004/10'

# The parameters that SupportsShouldProcess brings have no comment of ours, and belong into the syntax of what changes things.
$shouldProcess = @{
    WhatIf  = 'Shows what the command would do, after everything was read and checked, and changes nothing.'
    Confirm = 'Asks before anything is changed; -Confirm:$false answers in advance.'
}
$members = @{}
$documents = [xml]::new()
$documents.Load($Documentation)
foreach ($member in $documents.SelectNodes('/doc/members/member')) {
    $members[$member.GetAttribute('name')] = $member
}

# The text of a node: references become their names, and line breaks of the source become spaces.
function ConvertTo-PlainText([System.Xml.XmlNode] $Node) {
    $text = [System.Text.StringBuilder]::new()
    foreach ($child in $Node.ChildNodes) {
        $reference = $child -is [System.Xml.XmlElement] ? $child.GetAttribute('cref') + $child.GetAttribute('name') + $child.GetAttribute('langword') : ''
        if ($child.Name -in 'code', 'example') {
            continue
        }
        $null = $text.Append($reference ? $reference.Split('.')[-1] : $child -is [System.Xml.XmlText] ? $child.Value : (ConvertTo-PlainText $child))
    }

    [regex]::Replace($text.ToString(), '\s+', ' ')
}

function Get-Paragraph([System.Xml.XmlNode] $Node) {
    if ($Node) {
        $paragraphs = $Node.SelectNodes('para')
        foreach ($paragraph in $paragraphs.Count -gt 0 ? $paragraphs : @($Node)) {
            (ConvertTo-PlainText $paragraph).Trim()
        }
    }
}

function Get-Comment([string] $Name, [string] $For) {
    if (-not $members.ContainsKey($Name) -or -not $members[$Name].SelectSingleNode('summary')) {
        throw "The documentation comment of $For is missing ($Name)."
    }

    $members[$Name]
}

function Write-Paragraph([System.Xml.XmlWriter] $Writer, [string] $Element, [string] $Namespace, [string[]] $Text) {
    $Writer.WriteStartElement($Element, $Namespace)
    foreach ($paragraph in $Text) {
        $Writer.WriteElementString('para', $mamlNamespace, $paragraph)
    }

    $Writer.WriteEndElement()
}

function Get-PipelineInput([System.Management.Automation.CommandParameterInfo] $Parameter) {
    $ways = @(
        if ($Parameter.ValueFromPipeline) { 'ByValue' }
        if ($Parameter.ValueFromPipelineByPropertyName) { 'ByPropertyName' }
    )
    $ways ? "True ($($ways -join ', '))" : 'False'
}

function Get-TypeName([type] $Type) {
    $plain = [System.Nullable]::GetUnderlyingType($Type) ?? $Type
    $plain -eq [System.Management.Automation.SwitchParameter] ? 'SwitchParameter' : $plain.Name
}

function Write-Parameter {
    param(
        [System.Xml.XmlWriter] $Writer,
        [System.Management.Automation.CommandInfo] $Cmdlet,
        [System.Management.Automation.CommandParameterInfo] $Parameter,
        [switch] $InSyntax
    )

    $description = $shouldProcess[$Parameter.Name]
    $wildcards = $false
    if (-not $description) {
        # Where a base class declares it, its comment is there.
        $property = $Cmdlet.ImplementingType.GetProperty($Parameter.Name)
        $comment = Get-Comment "P:$($property.DeclaringType.FullName).$($property.Name)" "-$($Parameter.Name) of $($Cmdlet.Name)"
        $description = Get-Paragraph $comment.SelectSingleNode('summary')
        $wildcards = $property.IsDefined([System.Management.Automation.SupportsWildcardsAttribute], $true)
    }

    $Writer.WriteStartElement('parameter', $commandNamespace)
    $Writer.WriteAttributeString('required', $Parameter.IsMandatory.ToString().ToLowerInvariant())
    $Writer.WriteAttributeString('globbing', $wildcards.ToString().ToLowerInvariant())
    $Writer.WriteAttributeString('pipelineInput', (Get-PipelineInput $Parameter))
    $Writer.WriteAttributeString('position', $Parameter.Position -ge 0 ? "$($Parameter.Position)" : 'Named')
    $Writer.WriteAttributeString('aliases', $Parameter.Aliases ? $Parameter.Aliases -join ', ' : 'none')
    $Writer.WriteElementString('name', $mamlNamespace, $Parameter.Name)
    Write-Paragraph $Writer 'description' $mamlNamespace $description
    $type = Get-TypeName $Parameter.ParameterType
    if (-not $InSyntax -or $type -ne 'SwitchParameter') {
        $Writer.WriteStartElement('parameterValue', $commandNamespace)
        $Writer.WriteAttributeString('required', ($type -ne 'SwitchParameter').ToString().ToLowerInvariant())
        $Writer.WriteString($type)
        $Writer.WriteEndElement()
    }

    $Writer.WriteStartElement('type', $devNamespace)
    $Writer.WriteElementString('name', $mamlNamespace, $type)
    $Writer.WriteEndElement()
    $Writer.WriteEndElement()
}

function Write-Command([System.Xml.XmlWriter] $Writer, [System.Management.Automation.CmdletInfo] $Cmdlet) {
    $comment = Get-Comment "T:$($Cmdlet.ImplementingType.FullName)" $Cmdlet.Name
    $examples = $comment.SelectNodes('example')
    if ($examples.Count -eq 0) {
        throw "$($Cmdlet.Name) has no example."
    }

    $common = [System.Management.Automation.Cmdlet]::CommonParameters
    $synopsis = Get-Paragraph $comment.SelectSingleNode('summary')
    $Writer.WriteStartElement('command', 'command', $commandNamespace)

    $Writer.WriteStartElement('details', $commandNamespace)
    $Writer.WriteElementString('name', $commandNamespace, $Cmdlet.Name)
    $Writer.WriteElementString('verb', $commandNamespace, $Cmdlet.Verb)
    $Writer.WriteElementString('noun', $commandNamespace, $Cmdlet.Noun)
    Write-Paragraph $Writer 'description' $mamlNamespace $synopsis
    $Writer.WriteEndElement()
    $remarks = @(Get-Paragraph $comment.SelectSingleNode('remarks'))
    Write-Paragraph $Writer 'description' $mamlNamespace ($remarks.Count -gt 0 ? $remarks : $synopsis)

    $Writer.WriteStartElement('syntax', $commandNamespace)
    foreach ($set in $Cmdlet.ParameterSets) {
        $Writer.WriteStartElement('syntaxItem', $commandNamespace)
        $Writer.WriteElementString('name', $mamlNamespace, $Cmdlet.Name)
        $own = $set.Parameters | Where-Object Name -NotIn $common
        foreach ($parameter in $own | Sort-Object { $_.Position -lt 0 }, Position, { -not $_.IsMandatory } -Stable) {
            Write-Parameter $Writer $Cmdlet $parameter -InSyntax
        }
        $Writer.WriteEndElement()
    }
    $Writer.WriteEndElement()

    $Writer.WriteStartElement('parameters', $commandNamespace)
    $written = [System.Collections.Generic.HashSet[string]]::new()
    foreach ($parameter in $Cmdlet.ParameterSets.Parameters | Where-Object Name -NotIn $common | Sort-Object Name, { -not $_.IsMandatory }) {
        if ($written.Add($parameter.Name)) {
            Write-Parameter $Writer $Cmdlet $parameter
        }
    }
    $Writer.WriteEndElement()

    $Writer.WriteStartElement('returnValues', $commandNamespace)
    foreach ($type in $Cmdlet.OutputType) {
        $Writer.WriteStartElement('returnValue', $commandNamespace)
        $Writer.WriteStartElement('type', $devNamespace)
        $Writer.WriteElementString('name', $mamlNamespace, $type.Name)
        $Writer.WriteEndElement()
        $Writer.WriteEndElement()
    }
    $Writer.WriteEndElement()

    $Writer.WriteStartElement('examples', $commandNamespace)
    $number = 0
    foreach ($example in $examples) {
        $number++
        $Writer.WriteStartElement('example', $commandNamespace)
        $Writer.WriteElementString('title', $mamlNamespace, "---------- Example $number ----------")
        $Writer.WriteElementString('code', $devNamespace, $example.SelectSingleNode('code').InnerText.Trim())
        Write-Paragraph $Writer 'remarks' $devNamespace (Get-Paragraph $example)
        $Writer.WriteEndElement()
    }
    $Writer.WriteEndElement()
    $Writer.WriteEndElement()
}

$imported = Import-Module -Name $Module -PassThru
$settings = [System.Xml.XmlWriterSettings]@{
    Indent   = $true
    NewLineChars = "`n"
    Encoding = [System.Text.UTF8Encoding]::new($false)
}
if ($PSCmdlet.ShouldProcess($Path, 'Write help')) {
    $null = New-Item -ItemType Directory -Path (Split-Path -Path $Path) -Force
    $writer = [System.Xml.XmlWriter]::Create($Path, $settings)
    try {
        $writer.WriteStartElement('helpItems', 'http://msh')
        $writer.WriteAttributeString('schema', 'maml')
        $writer.WriteAttributeString('xmlns', 'maml', $null, $mamlNamespace)
        $writer.WriteAttributeString('xmlns', 'command', $null, $commandNamespace)
        $writer.WriteAttributeString('xmlns', 'dev', $null, $devNamespace)
        foreach ($cmdlet in $imported.ExportedCmdlets.Values | Sort-Object -Property Name) {
            Write-Command $writer $cmdlet
        }
        $writer.WriteEndElement()
    } finally {
        $writer.Dispose()
    }
}
