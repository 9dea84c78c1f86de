#Requires -Version 7.6

# Help is told once, in the documentation comments of cmdlets, models and errors. What is read here into plain objects is written as MAML for
# Get-Help, as Markdown for people who read in a browser, and as an about topic.

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$mamlNamespace = 'http://schemas.microsoft.com/maml/2004/10'
$commandNamespace = 'http://schemas.microsoft.com/maml/dev/command/2004/10'
$devNamespace = 'http://schemas.microsoft.com/maml/dev/2004/10'

# Around what a comment has in <c>: code for Markdown, and nothing for text.
$codeMark = [string][char]1

# The parameters that SupportsShouldProcess brings have no comment of ours, and belong into the syntax of what changes things.
$shouldProcess = @{
    WhatIf  = 'Shows what the command would do, after everything was read and checked, and changes nothing.'
    Confirm = 'Asks before anything is changed; -Confirm:$false answers in advance.'
}

# --- Reading ------------------------------------------------------------------------------------------

function Read-Documentation {
    <#
    .SYNOPSIS
    The members of a compiler's XML documentation, by name.
    #>
    [CmdletBinding()]
    [OutputType([hashtable])]
    param(
        [Parameter(Mandatory)]
        [string] $Path
    )

    $members = @{}
    $document = [xml]::new()
    $document.Load($Path)
    foreach ($member in $document.SelectNodes('/doc/members/member')) {
        $members[$member.GetAttribute('name')] = $member
    }

    $members
}

# The text of a node: references become their names, and line breaks of the source become spaces.
function ConvertTo-MarkedText([System.Xml.XmlNode] $Node) {
    $text = [System.Text.StringBuilder]::new()
    foreach ($child in $Node.ChildNodes) {
        if ($child.Name -in 'code', 'example', 'seealso', 'exception') {
            continue
        }

        $reference = $child -is [System.Xml.XmlElement] ? $child.GetAttribute('cref') + $child.GetAttribute('name') + $child.GetAttribute('langword') : ''
        $inner = $reference ? $reference.Split('.')[-1] : $child -is [System.Xml.XmlText] ? $child.Value : (ConvertTo-MarkedText $child)
        $isCode = $child.Name -eq 'c' -or $reference
        $null = $text.Append($isCode ? $codeMark + $inner + $codeMark : $inner)
    }

    [regex]::Replace($text.ToString(), '\s+', ' ')
}

function Get-Paragraph([System.Xml.XmlNode] $Node) {
    if ($Node) {
        $paragraphs = $Node.SelectNodes('para')
        foreach ($paragraph in $paragraphs.Count -gt 0 ? $paragraphs : @($Node)) {
            (ConvertTo-MarkedText $paragraph).Trim()
        }
    }
}

function Get-Comment([hashtable] $Members, [string] $Name, [string] $For) {
    if (-not $Members.ContainsKey($Name) -or -not $Members[$Name].SelectSingleNode('summary')) {
        throw "The documentation comment of $For is missing ($Name)."
    }

    $Members[$Name]
}

function Get-Summary([hashtable] $Members, [string] $Name) {
    $Members.ContainsKey($Name) ? @(Get-Paragraph $Members[$Name].SelectSingleNode('summary')) -join ' ' : ''
}

function Get-TypeName([type] $Type) {
    $plain = [System.Nullable]::GetUnderlyingType($Type) ?? $Type
    $plain -eq [System.Management.Automation.SwitchParameter] ? 'SwitchParameter' : $plain.Name
}

# What a parameter is where it is not given, as far as the cmdlet says so by the value that its property begins with.
function Get-DefaultText($Instance, [System.Reflection.PropertyInfo] $Property) {
    $value = $Property.GetValue($Instance)
    if ($null -eq $value -or ($value -is [array] -and $value.Count -eq 0) -or ($value -is [System.Collections.IDictionary] -and $value.Count -eq 0) -or
        ($value -is [string] -and $value -eq '') -or ($value -is [int] -and $value -eq [int]::MaxValue)) {
        return 'None'
    }

    if ($value -is [System.Management.Automation.SwitchParameter]) {
        return "$($value.IsPresent)"
    }

    [string]::Format([cultureinfo]::InvariantCulture, '{0}', ($value -is [array] ? $value -join ', ' : $value))
}

# The words that a parameter takes: those of an enumeration, or of a ValidateSet.
function Get-AcceptedValue([System.Reflection.PropertyInfo] $Property) {
    $set = $Property.GetCustomAttributes([System.Management.Automation.ValidateSetAttribute], $true)
    if ($set) {
        return $set[0].ValidValues
    }

    $type = $Property.PropertyType.IsArray ? $Property.PropertyType.GetElementType() : $Property.PropertyType
    $type = [System.Nullable]::GetUnderlyingType($type) ?? $type
    if ($type.IsEnum) {
        [System.Enum]::GetNames($type) | Where-Object { $_ -cnotin 'None', 'All' }
    }
}

function Read-Parameter([hashtable] $Members, [System.Management.Automation.CmdletInfo] $Cmdlet, $Instance, [System.Management.Automation.CommandParameterInfo] $Parameter) {
    $description = $shouldProcess[$Parameter.Name]
    $wildcards = $false
    $values = @()
    $default = 'False'
    if (-not $description) {
        # Where a base class declares it, its comment is there.
        $property = $Cmdlet.ImplementingType.GetProperty($Parameter.Name)
        $comment = Get-Comment $Members "P:$($property.DeclaringType.FullName).$($property.Name)" "-$($Parameter.Name) of $($Cmdlet.Name)"
        $description = Get-Paragraph $comment.SelectSingleNode('summary')
        $wildcards = $property.IsDefined([System.Management.Automation.SupportsWildcardsAttribute], $true)
        $values = @(Get-AcceptedValue $property)
        $default = $Parameter.IsMandatory ? 'None' : (Get-DefaultText $Instance $property)
    }

    [pscustomobject]@{
        Name        = $Parameter.Name
        Description = @($description)
        Type        = Get-TypeName $Parameter.ParameterType
        IsMandatory = $Parameter.IsMandatory
        Position    = $Parameter.Position -ge 0 ? "$($Parameter.Position)" : 'Named'
        Pipeline    = @(
            if ($Parameter.ValueFromPipeline) { 'ByValue' }
            if ($Parameter.ValueFromPipelineByPropertyName) { 'ByPropertyName' }
        )
        Aliases     = @($Parameter.Aliases)
        Wildcards   = $wildcards
        Values      = $values
        Default     = $default
    }
}

# The names of what a comment refers to by <seealso>: cmdlets by their classes, which the compiler checks, and about topics.
function Read-Link([System.Xml.XmlNode] $Comment, [hashtable] $CmdletsByClass, [string] $For) {
    foreach ($node in $Comment.SelectNodes('seealso')) {
        $class = $node.GetAttribute('cref') -replace '^T:'
        if (-not $class) {
            $node.GetAttribute('href')
        } elseif ($CmdletsByClass.ContainsKey($class)) {
            $CmdletsByClass[$class]
        } else {
            throw "The comment of $For refers to $class, which is no cmdlet."
        }
    }
}

function Read-CmdletHelp {
    <#
    .SYNOPSIS
    The help of all cmdlets of a module, from their documentation comments and their parameters, by name.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        # The imported module.
        [Parameter(Mandatory)]
        [psmoduleinfo] $Module,

        # The members of the documentation of its cmdlets.
        [Parameter(Mandatory)]
        [hashtable] $Members
    )

    $common = [System.Management.Automation.Cmdlet]::CommonParameters
    $classes = @{}
    foreach ($cmdlet in $Module.ExportedCmdlets.Values) {
        $classes[$cmdlet.ImplementingType.FullName] = $cmdlet.Name
    }

    foreach ($cmdlet in $Module.ExportedCmdlets.Values | Sort-Object -Property Name) {
        $comment = Get-Comment $Members "T:$($cmdlet.ImplementingType.FullName)" $cmdlet.Name
        $instance = [System.Activator]::CreateInstance($cmdlet.ImplementingType)
        $read = { Read-Parameter $Members $cmdlet $instance $_ }
        $synopsis = (Get-Paragraph $comment.SelectSingleNode('summary')) -join ' '
        $remarks = @(Get-Paragraph $comment.SelectSingleNode('remarks'))
        $written = [System.Collections.Generic.HashSet[string]]::new()
        [pscustomobject]@{
            Name        = $cmdlet.Name
            Verb        = $cmdlet.Verb
            Noun        = $cmdlet.Noun
            Synopsis    = $synopsis
            Description = $remarks.Count -gt 0 ? $remarks : @($synopsis)
            Syntax      = @(foreach ($set in $cmdlet.ParameterSets) {
                    $own = $set.Parameters | Where-Object Name -NotIn $common |
                        Sort-Object { $_.Position -lt 0 }, Position, { -not $_.IsMandatory } -Stable | ForEach-Object $read
                    [pscustomobject]@{ Name = $set.Name; IsDefault = $set.IsDefault; Parameters = @($own) }
                })
            Parameters  = @($cmdlet.ParameterSets.Parameters | Where-Object Name -NotIn $common |
                    Sort-Object Name, { -not $_.IsMandatory } -Stable | Where-Object { $written.Add($_.Name) } | ForEach-Object $read)
            Outputs     = @($cmdlet.OutputType | ForEach-Object { $_.Type ? $_.Type.FullName : $_.Name } | Select-Object -Unique)
            Examples    = @(foreach ($example in $comment.SelectNodes('example')) {
                    [pscustomobject]@{ Code = $example.SelectSingleNode('code').InnerText.Trim().ReplaceLineEndings("`n"); Remarks = @(Get-Paragraph $example) }
                })
            Errors      = @(foreach ($exception in $comment.SelectNodes('exception')) {
                    $code = $exception.SelectSingleNode('see').GetAttribute('cref').Split('.')[-1]
                    $text = [regex]::Replace((ConvertTo-MarkedText $exception), "^\s*$codeMark\w+$codeMark\s*:\s*", '').Trim()
                    [pscustomobject]@{ ErrorId = "Smc$code"; Text = $text }
                })
            Links       = @(Read-Link $comment $classes $cmdlet.Name)
        }
        $instance.Dispose()
    }
}

function Read-ErrorHelp {
    <#
    .SYNOPSIS
    Every error, in the order of the codes: id, category, exit code, what it means and what to do.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        # The members of the documentation of SmcDr.dll.
        [Parameter(Mandatory)]
        [hashtable] $Members
    )

    foreach ($info in [SmcDr.SmcErrors]::All) {
        $meaning = Get-Summary $Members "F:SmcDr.SmcErrorCode.$($info.Code)"
        if (-not $meaning) {
            throw "The documentation comment of SmcErrorCode.$($info.Code) is missing."
        }

        [pscustomobject]@{
            ErrorId        = $info.ErrorId
            Category       = "$($info.Category)"
            ExitCode       = $info.ExitCode
            Meaning        = $meaning
            Recommendation = $info.Recommendation
        }
    }
}

function Read-ModelHelp {
    <#
    .SYNOPSIS
    What cmdlets return: each type of SmcDr among their outputs, and those that its properties are of, with its properties.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        # What Read-CmdletHelp has read.
        [Parameter(Mandatory)]
        [pscustomobject[]] $Help,

        # The members of the documentation of SmcDr.dll.
        [Parameter(Mandatory)]
        [hashtable] $Members
    )

    $assembly = [SmcDr.SmcErrors].Assembly
    $waiting = [System.Collections.Generic.Queue[string]]::new()
    $seen = [System.Collections.Generic.HashSet[string]]::new()
    $models = [System.Collections.Generic.List[object]]::new()
    $Help.Outputs | Where-Object { $_ -like 'SmcDr.*' -and $seen.Add($_) } | ForEach-Object { $waiting.Enqueue($_) }
    while ($waiting.Count -gt 0) {
        $type = $assembly.GetType($waiting.Dequeue(), $true)
        $properties = foreach ($property in $type.GetProperties([System.Reflection.BindingFlags]'Public, Instance, DeclaredOnly')) {
            $arguments = $property.PropertyType.IsGenericType ? $property.PropertyType.GetGenericArguments() : @()
            $inner = $arguments ? $arguments[0] : $property.PropertyType
            $isList = $property.PropertyType.IsGenericType -and $property.PropertyType.Name -like 'IReadOnlyList*'
            if ($inner.Assembly -eq $assembly -and -not $inner.IsEnum -and $seen.Add($inner.FullName)) {
                $waiting.Enqueue($inner.FullName)
            }

            # A positional record's parameters are described where the record is.
            $text = Get-Summary $Members "P:$($type.FullName).$($property.Name)"
            if (-not $text -and $Members.ContainsKey("T:$($type.FullName)")) {
                $node = $Members["T:$($type.FullName)"].SelectSingleNode("param[@name='$($property.Name)']")
                $text = $node ? (ConvertTo-MarkedText $node).Trim() : ''
            }

            [pscustomobject]@{
                Name   = $property.Name
                Type   = $isList ? "$($inner.Name)[]" : (Get-TypeName $property.PropertyType)
                Values = @($inner.IsEnum ? [System.Enum]::GetNames($inner) : @())
                Text   = $text
            }
        }
        $models.Add([pscustomobject]@{ Name = $type.FullName; Summary = Get-Summary $Members "T:$($type.FullName)"; Properties = @($properties) })
    }

    $models | Sort-Object -Property Name
}

# --- MAML ---------------------------------------------------------------------------------------------

function ConvertTo-Text([string] $Marked) {
    $Marked.Replace($codeMark, '')
}

function Write-Paragraph([System.Xml.XmlWriter] $Writer, [string] $Element, [string] $Namespace, [string[]] $Text) {
    $Writer.WriteStartElement($Element, $Namespace)
    foreach ($paragraph in $Text) {
        $Writer.WriteElementString('para', $mamlNamespace, (ConvertTo-Text $paragraph))
    }

    $Writer.WriteEndElement()
}

function Write-MamlParameter([System.Xml.XmlWriter] $Writer, [pscustomobject] $Parameter, [switch] $InSyntax) {
    $isSwitch = $Parameter.Type -eq 'SwitchParameter'
    $Writer.WriteStartElement('parameter', $commandNamespace)
    $Writer.WriteAttributeString('required', $Parameter.IsMandatory.ToString().ToLowerInvariant())
    $Writer.WriteAttributeString('globbing', $Parameter.Wildcards.ToString().ToLowerInvariant())
    $Writer.WriteAttributeString('pipelineInput', ($Parameter.Pipeline ? "True ($($Parameter.Pipeline -join ', '))" : 'False'))
    $Writer.WriteAttributeString('position', $Parameter.Position)
    $Writer.WriteAttributeString('aliases', ($Parameter.Aliases ? $Parameter.Aliases -join ', ' : 'none'))
    $Writer.WriteElementString('name', $mamlNamespace, $Parameter.Name)
    $values = $Parameter.Values ? @("One of $($Parameter.Values -join ', ').") : @()
    Write-Paragraph $Writer 'description' $mamlNamespace ($Parameter.Description + $values)
    if (-not $InSyntax -or -not $isSwitch) {
        $Writer.WriteStartElement('parameterValue', $commandNamespace)
        $Writer.WriteAttributeString('required', (-not $isSwitch).ToString().ToLowerInvariant())
        $Writer.WriteString($Parameter.Type)
        $Writer.WriteEndElement()
    }

    $Writer.WriteStartElement('type', $devNamespace)
    $Writer.WriteElementString('name', $mamlNamespace, $Parameter.Type)
    $Writer.WriteEndElement()
    $Writer.WriteElementString('defaultValue', $devNamespace, $Parameter.Default)
    $Writer.WriteEndElement()
}

function Write-MamlLink([System.Xml.XmlWriter] $Writer, [string] $Text, [string] $Address) {
    $Writer.WriteStartElement('navigationLink', $mamlNamespace)
    $Writer.WriteElementString('linkText', $mamlNamespace, $Text)
    $Writer.WriteElementString('uri', $mamlNamespace, $Address)
    $Writer.WriteEndElement()
}

function Write-MamlCommand([System.Xml.XmlWriter] $Writer, [pscustomobject] $Cmdlet, [string] $OnlineHelp) {
    $Writer.WriteStartElement('command', 'command', $commandNamespace)

    $Writer.WriteStartElement('details', $commandNamespace)
    $Writer.WriteElementString('name', $commandNamespace, $Cmdlet.Name)
    $Writer.WriteElementString('verb', $commandNamespace, $Cmdlet.Verb)
    $Writer.WriteElementString('noun', $commandNamespace, $Cmdlet.Noun)
    Write-Paragraph $Writer 'description' $mamlNamespace $Cmdlet.Synopsis
    $Writer.WriteEndElement()
    $failures = @(foreach ($failure in $Cmdlet.Errors) { "$($failure.ErrorId): $($failure.Text)" })
    Write-Paragraph $Writer 'description' $mamlNamespace ($Cmdlet.Description + $failures)

    $Writer.WriteStartElement('syntax', $commandNamespace)
    foreach ($set in $Cmdlet.Syntax) {
        $Writer.WriteStartElement('syntaxItem', $commandNamespace)
        $Writer.WriteElementString('name', $mamlNamespace, $Cmdlet.Name)
        foreach ($parameter in $set.Parameters) {
            Write-MamlParameter $Writer $parameter -InSyntax
        }
        $Writer.WriteEndElement()
    }
    $Writer.WriteEndElement()

    $Writer.WriteStartElement('parameters', $commandNamespace)
    foreach ($parameter in $Cmdlet.Parameters) {
        Write-MamlParameter $Writer $parameter
    }
    $Writer.WriteEndElement()

    $Writer.WriteStartElement('returnValues', $commandNamespace)
    foreach ($type in $Cmdlet.Outputs) {
        $Writer.WriteStartElement('returnValue', $commandNamespace)
        $Writer.WriteStartElement('type', $devNamespace)
        $Writer.WriteElementString('name', $mamlNamespace, $type)
        $Writer.WriteEndElement()
        $Writer.WriteEndElement()
    }
    $Writer.WriteEndElement()

    $Writer.WriteStartElement('examples', $commandNamespace)
    $number = 0
    foreach ($example in $Cmdlet.Examples) {
        $number++
        $Writer.WriteStartElement('example', $commandNamespace)
        $Writer.WriteElementString('title', $mamlNamespace, "---------- Example $number ----------")
        $Writer.WriteElementString('code', $devNamespace, $example.Code)
        Write-Paragraph $Writer 'remarks' $devNamespace $example.Remarks
        $Writer.WriteEndElement()
    }
    $Writer.WriteEndElement()

    # Get-Help -Online opens the first address that it finds here. The other links have none: what is meant is found by Get-Help.
    $Writer.WriteStartElement('relatedLinks', $commandNamespace)
    if ($OnlineHelp) {
        Write-MamlLink $Writer 'Online version:' "$($OnlineHelp.TrimEnd('/'))/$($Cmdlet.Name).md"
    }

    foreach ($link in $Cmdlet.Links) {
        Write-MamlLink $Writer $link ''
    }
    $Writer.WriteEndElement()
    $Writer.WriteEndElement()
}

function Export-MamlHelp {
    <#
    .SYNOPSIS
    Writes help as Get-Help reads it.
    #>
    [CmdletBinding()]
    param(
        # What Read-CmdletHelp has read.
        [Parameter(Mandatory)]
        [pscustomobject[]] $Help,

        # The help file to write.
        [Parameter(Mandatory)]
        [string] $Path,

        # The address below which the pages of cmdlets are shown.
        [string] $OnlineHelp
    )

    $settings = [System.Xml.XmlWriterSettings]@{
        Indent       = $true
        NewLineChars = "`n"
        Encoding     = [System.Text.UTF8Encoding]::new($false)
    }
    $writer = [System.Xml.XmlWriter]::Create($Path, $settings)
    try {
        $writer.WriteStartElement('helpItems', 'http://msh')
        $writer.WriteAttributeString('schema', 'maml')
        $writer.WriteAttributeString('xmlns', 'maml', $null, $mamlNamespace)
        $writer.WriteAttributeString('xmlns', 'command', $null, $commandNamespace)
        $writer.WriteAttributeString('xmlns', 'dev', $null, $devNamespace)
        foreach ($cmdlet in $Help) {
            Write-MamlCommand $writer $cmdlet $OnlineHelp
        }
        $writer.WriteEndElement()
    } finally {
        $writer.Dispose()
    }
}

# --- Text ---------------------------------------------------------------------------------------------

# Wraps text at 78 columns, each line indented: what a console of 80 columns shows.
function ConvertTo-WrappedText([string] $Text, [int] $Indent) {
    $line = [System.Text.StringBuilder]::new()
    foreach ($word in $Text.Split(' ', [System.StringSplitOptions]::RemoveEmptyEntries)) {
        if ($line.Length -gt 0 -and $Indent + $line.Length + 1 + $word.Length -gt 78) {
            ' ' * $Indent + $line.ToString()
            $null = $line.Clear()
        }

        $null = $line.Append($line.Length -gt 0 ? " $word" : $word)
    }

    if ($line.Length -gt 0) {
        ' ' * $Indent + $line.ToString()
    }
}

function Export-AboutTopic {
    <#
    .SYNOPSIS
    Writes the about topics to the directory in which Get-Help finds them; a line '{errors}' becomes the list of all errors.
    #>
    [CmdletBinding()]
    param(
        # The directory of their sources.
        [Parameter(Mandatory)]
        [string] $Source,

        # What Read-ErrorHelp has read.
        [Parameter(Mandatory)]
        [pscustomobject[]] $ErrorHelp,

        # The directory to write to.
        [Parameter(Mandatory)]
        [string] $Directory
    )

    $list = foreach ($item in $ErrorHelp) {
        "    $($item.ErrorId)"
        ConvertTo-WrappedText "Exit code $($item.ExitCode), $($item.Category)." 8
        ConvertTo-WrappedText (ConvertTo-Text $item.Meaning) 8
        ConvertTo-WrappedText $item.Recommendation 8
        ''
    }
    foreach ($topic in Get-ChildItem -LiteralPath $Source -Filter 'about_*.help.txt') {
        $lines = foreach ($line in [System.IO.File]::ReadAllLines($topic.FullName)) {
            if ($line -eq '{errors}') { $list | Select-Object -SkipLast 1 } else { $line }
        }
        [System.IO.File]::WriteAllText((Join-Path $Directory $topic.Name), ($lines -join "`n") + "`n")
    }
}

# --- Markdown -----------------------------------------------------------------------------------------

# Names of cmdlets become links, parameters and code become code, and what Markdown would take for its own is escaped.
function ConvertTo-Markdown([string] $Text, [hashtable] $Pages, [string] $Page) {
    $pattern = "$codeMark(?<code>[^$codeMark]*)$codeMark|(?<cmdlet>(?<![\w-])[A-Z][a-z]+-Smc[A-Za-z]+)|(?<parameter>(?<![\w-])-[A-Z][A-Za-z]+(?::\`$(?:true|false))?)|(?<other>[*<\[|\\``]|(?<!\w)_|_(?!\w))"
    [regex]::Replace($Text, $pattern, {
            param($match)
            $cmdlet = $match.Groups['cmdlet'].Value
            if ($match.Groups['code'].Success) {
                '`' + $match.Groups['code'].Value + '`'
            } elseif ($cmdlet) {
                $cmdlet -ne $Page -and $Pages.ContainsKey($cmdlet) ? "[$cmdlet]($cmdlet.md)" : $cmdlet
            } elseif ($match.Groups['parameter'].Success) {
                '`' + $match.Value + '`'
            } else {
                '\' + $match.Value
            }
        })
}

function ConvertTo-SyntaxText([string] $Name, [pscustomobject[]] $Parameters) {
    $words = foreach ($parameter in $Parameters) {
        $isSwitch = $parameter.Type -eq 'SwitchParameter'
        $option = $parameter.Position -eq 'Named' -or $isSwitch ? "-$($parameter.Name)" : "[-$($parameter.Name)]"
        $value = $isSwitch ? '' : $parameter.Values ? " {$($parameter.Values -join ' | ')}$($parameter.Type.EndsWith('[]') ? '[]' : '')" : " <$($parameter.Type)>"
        $parameter.IsMandatory ? "$option$value" : "[$option$value]"
    }

    $line = $Name
    foreach ($word in $words) {
        if ($line.Length + 1 + $word.Length -gt 110) {
            $line
            $line = "    $word"
        } else {
            $line += " $word"
        }
    }
    "$line [<CommonParameters>]"
}

function Join-Line([object[]] $Lines) {
    ($Lines -join "`n").TrimEnd() + "`n"
}

# The line that a person who opens a generated file should see first.
function Get-GeneratedNotice([string] $From) {
    "<!-- Generated from $From by './build.ps1 -Task Build, Docs'. Change those, and not this file. -->"
}

function ConvertTo-CmdletPage([pscustomobject] $Cmdlet, [hashtable] $Pages) {
    $text = { param($value) ConvertTo-Markdown $value $Pages $Cmdlet.Name }
    Get-GeneratedNotice "the documentation comments of the cmdlet"
    "# $($Cmdlet.Name)"
    ''
    & $text $Cmdlet.Synopsis
    ''
    '## Syntax'
    ''
    '```text'
    ($Cmdlet.Syntax | ForEach-Object { (ConvertTo-SyntaxText $Cmdlet.Name $_.Parameters) -join "`n" }) -join "`n`n"
    '```'
    ''
    '## Description'
    foreach ($paragraph in $Cmdlet.Description) {
        ''
        & $text $paragraph
    }
    ''
    '## Examples'
    $number = 0
    foreach ($example in $Cmdlet.Examples) {
        $number++
        ''
        "### Example $number"
        ''
        '```powershell'
        $example.Code
        '```'
        foreach ($paragraph in $example.Remarks) {
            ''
            & $text $paragraph
        }
    }
    ''
    '## Parameters'
    foreach ($parameter in $Cmdlet.Parameters) {
        ''
        "### -$($parameter.Name)"
        ''
        foreach ($paragraph in $parameter.Description) {
            & $text $paragraph
            ''
        }
        if ($parameter.Values) {
            "One of $(($parameter.Values | ForEach-Object { '`' + $_ + '`' }) -join ', ')."
            ''
        }
        '| Type | Required | Position | Default | Pipeline | Wildcards | Aliases |'
        '|---|---|---|---|---|---|---|'
        $cells = @(
            '`' + $parameter.Type + '`'
            $parameter.IsMandatory ? 'yes' : 'no'
            $parameter.Position -eq 'Named' ? 'named' : $parameter.Position
            $parameter.Default -eq 'None' ? 'none' : '`' + $parameter.Default + '`'
            $parameter.Pipeline ? ($parameter.Pipeline | ForEach-Object { $_ -eq 'ByValue' ? 'by value' : 'by property name' }) -join ', ' : 'no'
            $parameter.Wildcards ? 'yes' : 'no'
            $parameter.Aliases ? ($parameter.Aliases | ForEach-Object { '`' + $_ + '`' }) -join ', ' : 'none'
        )
        "| $($cells -join ' | ') |"
    }
    ''
    'This cmdlet also takes the common parameters, such as `-Verbose`, `-ErrorAction` and `-OutVariable`: `Get-Help about_CommonParameters`.'
    ''
    '## Outputs'
    ''
    foreach ($output in $Cmdlet.Outputs) {
        $output -eq 'System.Void' ? '* None.' : $output -like 'SmcDr.*' ? "* [``$output``](types.md#$($output.ToLowerInvariant().Replace('.', '')))" : "* ``$output``"
    }
    if ($Cmdlet.Errors) {
        ''
        '## Errors'
        ''
        'The errors that an operator meets most; [all of them](../troubleshooting.md#all-errors).'
        ''
        '| Error | When |'
        '|---|---|'
        foreach ($failure in $Cmdlet.Errors) {
            "| ``$($failure.ErrorId)`` | $(& $text $failure.Text) |"
        }
    }
    if ($Cmdlet.Links) {
        ''
        '## Related'
        ''
        foreach ($link in $Cmdlet.Links) {
            $link -like 'about_*' ? "* [$link](../../src/SmcDr.PowerShell/Help/en-US/$link.help.txt)" : "* [$link]($link.md)"
        }
    }
}

function ConvertTo-TypePage([pscustomobject[]] $Models, [hashtable] $Pages, [pscustomobject[]] $Help) {
    Get-GeneratedNotice 'the documentation comments of the models'
    '# What cmdlets return'
    ''
    'Times are in UTC, durations are a `TimeSpan` and mostly also a number of seconds, sizes are in bytes. What is not known is empty, never 0.'
    foreach ($model in $Models) {
        ''
        "## $($model.Name)"
        ''
        ConvertTo-Markdown $model.Summary $Pages ''
        $from = @($Help | Where-Object { $model.Name -in $_.Outputs })
        if ($from) {
            ''
            "From $(($from | ForEach-Object { "[$($_.Name)]($($_.Name).md)" }) -join ', ')."
        }
        ''
        '| Property | Type | |'
        '|---|---|---|'
        foreach ($property in $model.Properties) {
            $values = $property.Values ? " One of $(($property.Values | ForEach-Object { '`' + $_ + '`' }) -join ', ')." : ''
            "| ``$($property.Name)`` | ``$($property.Type)`` | $(ConvertTo-Markdown $property.Text $Pages '')$values |"
        }
    }
}

function ConvertTo-IndexPage([pscustomobject[]] $Help, [hashtable] $Pages, [System.Collections.IDictionary[]] $Groups, [System.IO.FileInfo[]] $Topics) {
    Get-GeneratedNotice "the cmdlets and 'src/SmcDr.PowerShell/Help/Groups.psd1'"
    '# Cmdlets by what you want to do'
    ''
    'The same help is in the console: `Get-Help Backup-SmcDatabase -Full`, `Get-Help about_SmcDr`. What the cmdlets return is described in [types](types.md), and every error in'
    '[troubleshooting](../troubleshooting.md).'
    foreach ($group in $Groups) {
        ''
        "## $($group.Title)"
        ''
        $group.Text
        ''
        '| Cmdlet | |'
        '|---|---|'
        foreach ($name in $group.Cmdlets) {
            $cmdlet = $Help | Where-Object Name -CEQ $name
            "| [$name]($name.md) | $(ConvertTo-Markdown $cmdlet.Synopsis $Pages $name) |"
        }
    }
    ''
    '## Topics'
    ''
    '| Topic | |'
    '|---|---|'
    foreach ($topic in $Topics) {
        $lines = [System.IO.File]::ReadAllLines($topic.FullName)
        $short = $lines[[array]::IndexOf($lines, 'SHORT DESCRIPTION') + 1].Trim()
        $name = $topic.Name -replace '\.help\.txt$'
        "| [$name](../../src/SmcDr.PowerShell/Help/en-US/$($topic.Name)) | $short |"
    }
}

function ConvertTo-ErrorTable([pscustomobject[]] $ErrorHelp, [hashtable] $Pages) {
    '| Error | Exit code | What happened | What to do |'
    '|---|---|---|---|'
    foreach ($item in $ErrorHelp) {
        "| ``$($item.ErrorId)`` | $($item.ExitCode) | $(ConvertTo-Markdown $item.Meaning $Pages '') | $(ConvertTo-Markdown $item.Recommendation $Pages '') |"
    }
}

# What stands between two marks of a page is replaced; all else of it is written by hand.
function Edit-GeneratedPart([string] $Text, [string] $Name, [object[]] $Lines) {
    $begin = "<!-- begin: $Name, generated by './build.ps1 -Task Build, Docs' -->"
    $end = "<!-- end: $Name -->"
    $from = $Text.IndexOf($begin, [System.StringComparison]::Ordinal)
    $to = $Text.IndexOf($end, [System.StringComparison]::Ordinal)
    if ($from -lt 0 -or $to -lt $from) {
        throw "The marks '$begin' and '$end' are not there."
    }

    "$($Text.Substring(0, $from + $begin.Length))`n`n$($Lines -join "`n")`n`n$($Text.Substring($to))"
}

function Export-MarkdownHelp {
    <#
    .SYNOPSIS
    Writes a page for each cmdlet, an index by task, a page of what they return, and the table of errors in the page on troubleshooting.
    #>
    [CmdletBinding()]
    param(
        # What Read-CmdletHelp has read.
        [Parameter(Mandatory)]
        [pscustomobject[]] $Help,

        # What Read-ErrorHelp has read.
        [Parameter(Mandatory)]
        [pscustomobject[]] $ErrorHelp,

        # What Read-ModelHelp has read.
        [Parameter(Mandatory)]
        [pscustomobject[]] $Models,

        # The groups of the index.
        [Parameter(Mandatory)]
        [System.Collections.IDictionary[]] $Groups,

        # The directory of the sources of about topics.
        [Parameter(Mandatory)]
        [string] $Topics,

        # The page on troubleshooting as it is.
        [Parameter(Mandatory)]
        [string] $Troubleshooting,

        # The documentation's directory.
        [Parameter(Mandatory)]
        [string] $Directory
    )

    $grouped = @($Groups.Cmdlets)
    $differences = @(Compare-Object -ReferenceObject @($Help.Name) -DifferenceObject $grouped)
    if ($differences) {
        throw "Each cmdlet stands once in Groups.psd1: $(($differences | ForEach-Object { "$($_.InputObject) $($_.SideIndicator)" }) -join ', ')."
    }

    $pages = @{}
    foreach ($cmdlet in $Help) {
        $pages[$cmdlet.Name] = $true
    }

    $folder = Join-Path $Directory 'en-US'
    $null = New-Item -ItemType Directory -Path $folder -Force
    Get-ChildItem -LiteralPath $folder -Filter '*.md' | Remove-Item
    foreach ($cmdlet in $Help) {
        [System.IO.File]::WriteAllText((Join-Path $folder "$($cmdlet.Name).md"), (Join-Line (ConvertTo-CmdletPage $cmdlet $pages)))
    }

    $files = Get-ChildItem -LiteralPath $Topics -Filter 'about_*.help.txt' | Sort-Object -Property Name
    [System.IO.File]::WriteAllText((Join-Path $folder 'types.md'), (Join-Line (ConvertTo-TypePage $Models $pages $Help)))
    [System.IO.File]::WriteAllText((Join-Path $folder 'README.md'), (Join-Line (ConvertTo-IndexPage $Help $pages $Groups $files)))
    $linked = @{}
    $page = Edit-GeneratedPart ([System.IO.File]::ReadAllText($Troubleshooting)) 'errors' (ConvertTo-ErrorTable $ErrorHelp $linked)
    [System.IO.File]::WriteAllText((Join-Path $Directory 'troubleshooting.md'), $page)
}

Export-ModuleMember -Function Read-Documentation, Read-CmdletHelp, Read-ErrorHelp, Read-ModelHelp, Export-MamlHelp, Export-AboutTopic, Export-MarkdownHelp
