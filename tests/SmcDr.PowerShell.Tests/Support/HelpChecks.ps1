#Requires -Version 7.6

# What can be told of an example without running it: that it parses, that its commands and parameters exist, that its literal arguments can be bound,
# and that it names properties that the objects have.

# The properties of a type, those of SmcDr.Types.ps1xml among them, by name: the type of each, and of a list that of its items.
function Get-TypeProperty([type] $Type) {
    $properties = @{}
    foreach ($property in $Type.GetProperties()) {
        $inner = $property.PropertyType
        if ($inner.IsGenericType) {
            $inner = $inner.GetGenericArguments()[0]
        }

        $properties[$property.Name] = $inner
    }

    $data = Get-TypeData -TypeName $Type.FullName
    if ($data) {
        foreach ($name in $data.Members.Keys) {
            $properties[$name] ??= [object]
        }
    }

    $properties
}

# A literal argument as a value; nothing where it is none.
function Get-LiteralValue($Ast) {
    try {
        , $Ast.SafeGetValue()
    } catch [System.InvalidOperationException] {
        return
    }
}

# An argument as it is typed counts where a transformation reads it: 90d is a decimal number to the parser, and a duration to the cmdlet.
function Find-ArgumentProblem([System.Management.Automation.ParameterMetadata] $Parameter, $Value, [string] $Typed) {
    $type = $Parameter.ParameterType
    foreach ($attribute in $Parameter.Attributes) {
        if ($attribute -is [System.Management.Automation.ArgumentTransformationAttribute] -and $attribute.GetType().Namespace -eq 'SmcDr.PowerShell.Arguments') {
            try {
                $transformed = $attribute.Transform($ExecutionContext, ($Value -is [ValueType] ? $Typed : $Value))
                if ($transformed -is [SmcDr.Instant]) {
                    $null = $transformed.Resolve()
                }
            } catch {
                "-$($Parameter.Name) does not take '$Value': $($_.Exception.Message)"
            }

            return
        }
    }

    try {
        $converted = [System.Management.Automation.LanguagePrimitives]::ConvertTo($Value, $type, [cultureinfo]::InvariantCulture)
    } catch {
        "-$($Parameter.Name) does not take '$Value': $($_.Exception.Message)"
        return
    }

    foreach ($attribute in $Parameter.Attributes) {
        foreach ($item in @($converted)) {
            if ($attribute -is [System.Management.Automation.ValidateSetAttribute] -and $item -notin $attribute.ValidValues) {
                "-$($Parameter.Name) does not take '$item'"
            } elseif ($attribute -is [System.Management.Automation.ValidateRangeAttribute] -and ($item -lt $attribute.MinRange -or $item -gt $attribute.MaxRange)) {
                "-$($Parameter.Name) does not take $item"
            }
        }
    }
}

# What is wrong with one command of an example.
function Find-CommandProblem([System.Management.Automation.Language.CommandAst] $Command) {
    $name = $Command.GetCommandName()
    # A program, or what only a disassembler would know, is not ours to judge.
    if (-not $name -or $name -notlike '*-*' -or $name -match '[\\/]') {
        return
    }

    $info = Get-Command -Name $name -CommandType Cmdlet, Function -ErrorAction Ignore
    if (-not $info) {
        "$name is no command"
        return
    }

    $binding = [System.Management.Automation.Language.StaticParameterBinder]::BindCommand($Command, $true)
    # What a splatted variable brings nobody can tell.
    foreach ($failure in $binding.BindingExceptions.GetEnumerator() | Where-Object Key -NotLike '@*') {
        "$($name): $($failure.Key): $($failure.Value.BindingException.Message)"
    }

    if ($name -notlike '*-Smc*') {
        return
    }

    foreach ($pair in $binding.BoundParameters.GetEnumerator()) {
        # Without a parameter it is what a splatted variable brings.
        if ($pair.Value.Parameter -and $pair.Value.Value -and $pair.Value.Parameter.ParameterType -ne [switch]) {
            $value = Get-LiteralValue $pair.Value.Value
            if ($null -ne $value -and $value -isnot [hashtable] -and $value -isnot [scriptblock]) {
                Find-ArgumentProblem $pair.Value.Parameter $value $pair.Value.Value.Extent.Text | ForEach-Object { "$($name): $_" }
            }
        }
    }
}

# What an expression or command at the head of a pipeline gives: the types that SmcDr declares; none where nobody can tell.
function Get-HeadType($Element) {
    if ($Element -is [System.Management.Automation.Language.CommandAst]) {
        $name = $Element.GetCommandName()
        if ($name -like '*-Smc*') {
            return Get-Command -Name $name -ErrorAction Ignore | ForEach-Object { $_.OutputType } | ForEach-Object { $_.Type } |
                Where-Object { $_ -and $_.Namespace -eq 'SmcDr' }
        }
    } elseif ($Element -is [System.Management.Automation.Language.CommandExpressionAst]) {
        return Get-ExpressionType $Element.Expression
    }
}

function Get-ExpressionType($Expression) {
    if ($Expression -is [System.Management.Automation.Language.ParenExpressionAst]) {
        $pipeline = $Expression.Pipeline
        # Select-Object -Last 1 and the like change nothing of what comes through.
        return Get-HeadType $pipeline.PipelineElements[0]
    }

    if ($Expression -is [System.Management.Automation.Language.MemberExpressionAst] -and $Expression.Member -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
        foreach ($type in Get-ExpressionType $Expression.Expression) {
            (Get-TypeProperty $type)[$Expression.Member.Value]
        }
    }
}

function Find-MissingProperty([type[]] $Types, [string[]] $Names, [string] $Where) {
    foreach ($name in $Names) {
        if (-not ($Types | Where-Object { (Get-TypeProperty $_).ContainsKey($name) })) {
            "$($Where): $($Types.Name -join ', ') has no property $name"
        }
    }
}

# The script blocks in which $_ is an object of the pipeline at this place, and what they ask of it.
function Find-BlockProblem([System.Management.Automation.Language.CommandAst] $Command, [type[]] $Types) {
    foreach ($block in $Command.CommandElements | Where-Object { $_ -is [System.Management.Automation.Language.ScriptBlockExpressionAst] }) {
        $members = $block.FindAll({
                param($node)
                $node -is [System.Management.Automation.Language.MemberExpressionAst] -and $node -isnot [System.Management.Automation.Language.InvokeMemberExpressionAst] -and
                $node.Expression -is [System.Management.Automation.Language.VariableExpressionAst] -and $node.Expression.VariablePath.UserPath -eq '_'
            }, $true)
        foreach ($member in $members) {
            $owner = $member.Parent
            while ($owner -isnot [System.Management.Automation.Language.ScriptBlockExpressionAst]) {
                $owner = $owner.Parent
            }

            if ($owner -eq $block) {
                Find-MissingProperty $Types $member.Member.Value '$_'
            }
        }
    }
}

# Follows a pipeline from a cmdlet of SmcDr on, as far as it is known what comes through.
function Find-PipelineProblem([System.Management.Automation.Language.PipelineAst] $Pipeline) {
    $types = @(Get-HeadType $Pipeline.PipelineElements[0])
    foreach ($command in $Pipeline.PipelineElements | Select-Object -Skip 1) {
        if (@($types).Count -eq 0 -or $command -isnot [System.Management.Automation.Language.CommandAst]) {
            return
        }

        $name = $command.GetCommandName()
        Find-BlockProblem $command $types
        $bound = [System.Management.Automation.Language.StaticParameterBinder]::BindCommand($command, $true).BoundParameters
        $named = { param($parameter) if ($bound.ContainsKey($parameter)) { Get-LiteralValue $bound[$parameter].Value | ForEach-Object { $_ } | Where-Object { $_ -is [string] -and $_ -ne '*' } } }
        switch ($name) {
            { $_ -in 'Where-Object', 'Select-Object', 'Sort-Object', 'Group-Object', 'Measure-Object', 'Format-Table', 'Format-List' } {
                Find-MissingProperty $types @(& $named 'Property') $name
            }
            'Select-Object' {
                $expanded = @(& $named 'ExpandProperty')
                if ($expanded) {
                    Find-MissingProperty $types $expanded $name
                    $types = @(foreach ($type in $types) { (Get-TypeProperty $type)[$expanded[0]] } ) | Where-Object { $_ -and $_.Namespace -eq 'SmcDr' }
                }
            }
            { $_ -like '*-Smc*' } { $types = @(Get-HeadType $command) }
            { $_ -in 'Group-Object', 'Measure-Object', 'ForEach-Object', 'Format-Table', 'Format-List' } { $types = @() }
        }
    }
}

function Find-ExampleProblem {
    <#
    .SYNOPSIS
    What is wrong with a text that should be PowerShell, as far as that can be told without running it: nothing where all is right.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)]
        [string] $Code
    )

    $failures = $null
    $ast = [System.Management.Automation.Language.Parser]::ParseInput($Code, [ref] $null, [ref] $failures)
    if ($failures) {
        "it does not parse: $($failures[0].Message)"
        return
    }

    $ast.FindAll({ param($node) $node -is [System.Management.Automation.Language.CommandAst] }, $true) | ForEach-Object { Find-CommandProblem $_ }
    $ast.FindAll({ param($node) $node -is [System.Management.Automation.Language.PipelineAst] }, $true) | ForEach-Object { Find-PipelineProblem $_ }
}

function Find-NameProblem {
    <#
    .SYNOPSIS
    What a text for people names that is not there: cmdlets, parameters of the commands that it names, errors, and topics.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)]
        [string] $Text
    )

    $commands = foreach ($match in [regex]::Matches($Text, '(?<![\w-])[A-Z][A-Za-z]+-[A-Z][A-Za-z]+')) { $match.Value }
    $parameters = [System.Collections.Generic.HashSet[string]]::new([System.StringComparer]::OrdinalIgnoreCase)
    foreach ($name in $commands | Select-Object -Unique) {
        $info = Get-Command -Name $name -CommandType Cmdlet, Function -ErrorAction Ignore
        if ($info) {
            $parameters.UnionWith([string[]] @($info.Parameters.Keys))
        } elseif ($name -like '*-Smc*') {
            "$name is no command"
        }
    }

    # The operator for Pester that lies beside the module, and its parameters.
    $drills = [System.IO.Path]::Combine((Get-Module SmcDr).ModuleBase, 'Drills', 'SmcDr.Pester.psm1')
    $operator = [System.Management.Automation.Language.Parser]::ParseFile($drills, [ref] $null, [ref] $null).Find(
        { $args[0] -is [System.Management.Automation.Language.FunctionDefinitionAst] -and $args[0].Name -like 'Assert-*' }, $true)
    $null = $parameters.Add($operator.Name.Substring('Assert-'.Length))
    $parameters.UnionWith([string[]] @($operator.Body.ParamBlock.Parameters.Name.VariablePath.UserPath))
    foreach ($name in (Get-Command -Module SmcDr).Parameters.Keys) {
        $null = $parameters.Add($name)
    }

    foreach ($match in [regex]::Matches($Text, '(?<![\w/.''`-])-(?<name>[A-Z][A-Za-z]+)')) {
        if (-not $parameters.Contains($match.Groups['name'].Value)) {
            "$($match.Value) is a parameter of nothing that is named here"
        }
    }

    $ids = [SmcDr.SmcErrors]::All.ErrorId
    foreach ($match in [regex]::Matches($Text, '(?<![\w./-])Smc(?!Dr\b|Dr_|Errors?\b|Dr[.-])(?<rest>[A-Z][A-Za-z]+)(?<star>\*)?')) {
        $isKnown = $match.Groups['star'].Success ? [bool]($ids -clike $match.Value) : $ids -ccontains $match.Value
        if (-not $isKnown) {
            "$($match.Value) is no error"
        }
    }

    foreach ($match in [regex]::Matches($Text, 'about_SmcDr\w*')) {
        if (-not (Get-ChildItem -Path (Join-Path (Get-Module SmcDr).ModuleBase "en-US/$($match.Value).help.txt") -ErrorAction Ignore)) {
            "$($match.Value) is no topic"
        }
    }
}
