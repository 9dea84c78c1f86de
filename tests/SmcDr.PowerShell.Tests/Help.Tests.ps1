#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# Help that lies is worse than none: whatever it names must be there, and whatever was generated must be what the code says now.

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    $manifest = Get-SmcModulePath
    $cmdlets = (Import-PowerShellDataFile $manifest).CmdletsToExport
    $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
    $sources = [System.IO.Path]::Combine($root, 'src', 'SmcDr.PowerShell', 'Help', 'en-US')
    $topics = Get-ChildItem -LiteralPath $sources -Filter 'about_*.help.txt' | ForEach-Object { $_.Name -replace '\.help\.txt$' }
    $pages = @(
        Get-Item -LiteralPath (Join-Path $root 'README.md')
        Get-ChildItem -LiteralPath (Join-Path $root 'docs') -Recurse -Filter '*.md' | Where-Object FullName -NotMatch '[\\/]en-US[\\/]'
    ) | ForEach-Object { @{ Page = [System.IO.Path]::GetRelativePath($root, $_.FullName); Path = $_.FullName } }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'HelpChecks.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    $module = Get-SmcModulePath
    Import-Module $module -Global
    $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
    $names = (Import-PowerShellDataFile $module).CmdletsToExport
    $help = @{}
    foreach ($name in $names) {
        $help[$name] = Get-Help -Name $name -Full
    }

    # The text of paragraphs, and nothing where there are none.
    function Get-HelpText($Node) {
        (@($Node | Where-Object { $_ }) | ForEach-Object { $_.PSObject.Properties['Text'] ? $_.Text : "$_" }) -join "`n"
    }
}

Describe 'What the checks of examples see' {
    It 'nothing where all is right' {
        Find-ExampleProblem 'Get-SmcBackup -State Complete | Where-Object StartTime -lt ''2026-11-05T10:00Z'' | Select-Object -Last 1 | Protect-SmcBackup -For 90d' |
            Should -BeNullOrEmpty
        Find-ExampleProblem '(Get-SmcPlan -First 1).Steps | Format-Table Title, State' | Should -BeNullOrEmpty
        Find-ExampleProblem '$splatBackup = @{ Full = $true }; Backup-SmcDatabase @splatBackup -Label one; ./restore-all.ps1 -Now' | Should -BeNullOrEmpty
    }

    It 'a mistake in <Code>' -ForEach @(
        @{ Code = 'Get-SmcBackup -State'; Like = '*State*' }
        @{ Code = 'Get-SmcBackup |'; Like = 'it does not parse*' }
        @{ Code = 'Get-SmcBakup'; Like = '*no command*' }
        @{ Code = 'Backup-SmcDatabase -NoSuch'; Like = '*NoSuch*' }
        @{ Code = 'Backup-SmcDatabase one two'; Like = '*one*' }
        @{ Code = 'Backup-SmcDatabase -Method Magical'; Like = '*Magical*' }
        @{ Code = 'Backup-SmcDatabase -Parallelism 65'; Like = '*65*' }
        @{ Code = 'Set-SmcDnsRecord -Value a -Type MX'; Like = '*MX*' }
        @{ Code = 'Test-SmcBackup -NewerThan 26'; Like = '*26*' }
        @{ Code = 'Invoke-SmcPointInTimeRecovery -TargetTime 10:00'; Like = '*10:00*' }
        @{ Code = 'Get-SmcBackup | Where-Object Colour -eq red'; Like = '*BackupInfo*Colour*' }
        @{ Code = 'Get-SmcBackup | Where-Object { $_.Colour }'; Like = '*BackupInfo*Colour*' }
        @{ Code = '(Get-SmcPlan).Steps | Format-Table Colour'; Like = '*PlanStepResult*Colour*' }
        @{ Code = 'Get-SmcRecoveryTest | Select-Object -ExpandProperty Checks | Format-Table Colour'; Like = '*CheckResult*Colour*' }
    ) {
        (Find-ExampleProblem $Code) -join '; ' | Should -BeLike $Like
    }

    It 'names that are not there' {
        Find-NameProblem 'Get-SmcBackup -State, SmcTargetInUse, SmcStorage*, about_SmcDr, Select-Object -ExpandProperty' | Should -BeNullOrEmpty
        (Find-NameProblem 'Get-SmcBakup -Colour SmcTargetInHand SmcNone* about_SmcDr_Nothing') | Should -HaveCount 5
    }
}

Describe 'Help of <_>' -ForEach $cmdlets {
    BeforeAll {
        $name = $_
        $full = $help[$name]
    }

    It 'says what it does in a sentence, and more of it' {
        $full.Synopsis | Should -MatchExactly '^[A-Z][^\r\n]*\.$'
        Get-HelpText $full.description | Should -Not -BeNullOrEmpty
    }

    It 'says what it returns' {
        @($full.returnValues.returnValue.type.name | Where-Object { $_ }) | Should -Not -BeNullOrEmpty
        foreach ($type in $full.returnValues.returnValue.type.name | Where-Object { $_ -like 'SmcDr.*' }) {
            [SmcDr.SmcErrors].Assembly.GetType($type) | Should -Not -BeNullOrEmpty -Because $type
        }
    }

    It 'says what each parameter is for' {
        foreach ($parameter in (Get-Command $name).Parameters.Keys | Where-Object { $_ -notin [System.Management.Automation.Cmdlet]::CommonParameters }) {
            $described = $full.parameters.parameter | Where-Object Name -EQ $parameter
            Get-HelpText $described.description | Should -Match '^[A-Z].*\.' -Because "-$parameter of $name"
        }
    }

    It 'has three examples or more, all different, each of which says what it does' {
        $examples = @($full.examples.example)
        $examples.Count | Should -BeGreaterOrEqual 3
        @($examples.code | Select-Object -Unique) | Should -HaveCount $examples.Count
        foreach ($example in $examples) {
            $example.code | Should -Match "$name\b"
            Get-HelpText $example.remarks | Should -Match '[.:]$'
        }
    }

    It 'has examples whose commands, parameters, arguments and properties are there' {
        $number = 0
        foreach ($example in $full.examples.example) {
            $number++
            (Find-ExampleProblem $example.code) -join '; ' | Should -BeNullOrEmpty -Because "example $number is '$($example.code)'"
        }
    }

    It 'refers to other cmdlets and topics, and to such as exist' {
        $links = @($full.relatedLinks.navigationLink.linkText | Where-Object { $_ })
        $links | Should -Not -BeNullOrEmpty
        $links | Should -Not -Contain $name
        @($links | Select-Object -Unique) | Should -HaveCount $links.Count
        foreach ($link in $links) {
            $exists = $link -like 'about_*' ? (Test-Path -LiteralPath (Join-Path (Split-Path $module) 'en-US' "$link.help.txt")) : $link -cin $names
            $exists | Should -BeTrue -Because "$name refers to $link"
        }
    }

    It 'names only what is there' {
        (Find-NameProblem "$($full.Synopsis)`n$(Get-HelpText $full.description)`n$(Get-HelpText $full.parameters.parameter.description)") -join '; ' | Should -BeNullOrEmpty
    }
}

Describe 'The topic <_>' -ForEach $topics {
    BeforeAll {
        $topic = $_
        $text = Get-Help -Name $topic | Out-String -Width 200
        $lines = $text -split '\r?\n'
    }

    It 'is found by Get-Help, and has its parts' {
        $text | Should -MatchExactly "(?s)TOPIC\s+$topic\s+SHORT DESCRIPTION\s+\S.*\.\s+LONG DESCRIPTION\s+\S.*SEE ALSO\s+\S"
    }

    It 'fits a console of 80 columns' {
        $lines | Where-Object Length -GT 80 | Should -BeNullOrEmpty
    }

    It 'names only what is there' {
        (Find-NameProblem $text) -join '; ' | Should -BeNullOrEmpty
    }

    It 'has commands that can be typed' {
        # What is indented by eight columns is typed; what of it names no cmdlet is a site file.
        $typed = (($lines -join "`n") -split '(?m)^ +ALL ERRORS$')[0]
        $blocks = @([regex]::Matches($typed, '(?m)^ {8}\S.*\n(^ {8,}\S.*\n)*').Value | Where-Object { $_ -match '[A-Z][a-z]+-Smc' -and $_ -notmatch '(?m)^ {8}[a-z]\w+(:| {2,})' })
        $blocks | Should -Not -BeNullOrEmpty
        foreach ($block in $blocks) {
            (Find-ExampleProblem $block) -join '; ' | Should -BeNullOrEmpty -Because $block
        }
    }

    It 'ends with what there is to read on' {
        $more = ($text -split 'SEE ALSO')[1] -split '\s+' | Where-Object { $_ }
        $more | Should -Not -Contain $topic
        foreach ($link in $more) {
            ($link -cin $names -or (Test-Path -LiteralPath (Join-Path (Split-Path $module) 'en-US' "$link.help.txt"))) | Should -BeTrue -Because $link
        }
    }
}

Describe 'Get-Help -Online' -Skip:(-not $IsLinux) {
    BeforeAll {
        # A copy of the module with help that has an address, and in place of a browser what writes down what it is to open.
        $copy = Join-Path $TestDrive 'SmcDr'
        Copy-Item -LiteralPath (Split-Path $module) -Destination $copy -Recurse
        $splatHelp = @{ Module = (Join-Path $copy 'SmcDr.psd1') }
        $script = [System.IO.Path]::Combine($root, 'src', 'SmcDr.PowerShell', 'Help', 'New-ModuleHelp.ps1')
        $opened = Join-Path $TestDrive 'opened'
        $programs = (New-Item -ItemType Directory -Path (Join-Path $TestDrive 'programs')).FullName
        $browser = Join-Path $programs 'xdg-open'
        Set-Content -LiteralPath $browser -Value "#!/bin/sh`necho `"`$1`" > '$opened.new' && mv '$opened.new' '$opened'"
        [System.IO.File]::SetUnixFileMode($browser, 'UserRead, UserWrite, UserExecute')

        function Open-Help([hashtable] $Help, [string] $Name) {
            $said = & (Get-TestShell) -NoProfile -NonInteractive -Command {
                param($Script, $Help, $Programs, $Name)
                & $Script @Help
                $env:PATH = "$Programs$([System.IO.Path]::PathSeparator)$env:PATH"
                Import-Module $Help.Module
                Get-Help -Name $Name -Online
            } -args $script, $Help, $programs, $Name 2>&1
            "$said"
        }
    }

    It 'opens the page of the cmdlet below the address that the module was built with' {
        Open-Help ($splatHelp + @{ OnlineHelp = 'https://docs.example.com/smcdr/' }) Backup-SmcDatabase | Should -BeNullOrEmpty
        Wait-Until 'a page is opened' { Test-Path -LiteralPath $opened }
        Get-Content -LiteralPath $opened | Should -Be 'https://docs.example.com/smcdr/Backup-SmcDatabase.md'
        Test-Path -LiteralPath ([System.IO.Path]::Combine($root, 'docs', 'en-US', 'Backup-SmcDatabase.md')) | Should -BeTrue
        Remove-Item -LiteralPath $opened
    }

    It 'says that there is none where it was built without one' {
        Open-Help $splatHelp Backup-SmcDatabase | Should -BeLike '*online version*'
        Test-Path -LiteralPath $opened | Should -BeFalse
    }
}

Describe 'about_SmcDr_Errors' {
    It 'has every error with its exit code, its meaning and what to do' {
        $text = (Get-Help about_SmcDr_Errors | Out-String -Width 200) -replace '\s+', ' '
        foreach ($info in [SmcDr.SmcErrors]::All) {
            $text | Should -BeLike "* $($info.ErrorId) Exit code $($info.ExitCode), $($info.Category). *$([System.Management.Automation.WildcardPattern]::Escape($info.Recommendation))*"
        }
    }
}

Describe 'The pages of the documentation' {
    BeforeAll {
        $generated = Join-Path $TestDrive 'docs'
        $script = [System.IO.Path]::Combine($root, 'src', 'SmcDr.PowerShell', 'Help', 'New-ModuleHelp.ps1')
        $said = & (Get-TestShell) -NoProfile -NonInteractive -File $script -Module $module -Docs $generated -Troubleshooting ([System.IO.Path]::Combine($root, 'docs', 'troubleshooting.md')) 2>&1
        if ($LASTEXITCODE -ne 0) {
            throw "New-ModuleHelp.ps1 ended with ${LASTEXITCODE}: $($said -join "`n")"
        }
    }

    It 'are what the comments, the models and the errors say now' {
        $committed = [System.IO.Path]::Combine($root, 'docs', 'en-US')
        $new = Join-Path $generated 'en-US'
        (Get-ChildItem -LiteralPath $committed).Name | Sort-Object | Should -Be ((Get-ChildItem -LiteralPath $new).Name | Sort-Object)
        $stale = @(
            foreach ($file in Get-ChildItem -LiteralPath $new) {
                if ([System.IO.File]::ReadAllText($file.FullName) -cne [System.IO.File]::ReadAllText((Join-Path $committed $file.Name))) { $file.Name }
            }
            if ([System.IO.File]::ReadAllText((Join-Path $generated 'troubleshooting.md')) -cne [System.IO.File]::ReadAllText([System.IO.Path]::Combine($root, 'docs', 'troubleshooting.md'))) {
                'troubleshooting.md'
            }
        )
        $stale -join ', ' | Should -BeNullOrEmpty -Because './build.ps1 -Task Build, Docs writes them'
    }

    It 'has links that lead somewhere in <Page>' -ForEach ($pages + @($cmdlets | ForEach-Object { @{ Page = "docs/en-US/$_.md"; Path = $null } })) {
        $file = $Path ? $Path : (Join-Path $root $Page)
        $text = [System.IO.File]::ReadAllText($file)
        foreach ($match in [regex]::Matches($text, '\]\((?<target>[^)\s]+)\)')) {
            $target = $match.Groups['target'].Value
            if ($target -notmatch '^(https?:|mailto:)') {
                $where, $anchor = $target -split '#', 2
                $full = $where ? [System.IO.Path]::GetFullPath([System.IO.Path]::Combine([System.IO.Path]::GetDirectoryName($file), $where)) : $file
                Test-Path -LiteralPath $full | Should -BeTrue -Because "$Page leads to $target"
                if ($anchor) {
                    $anchors = [System.IO.File]::ReadAllLines($full) -match '^#{1,6} ' | ForEach-Object {
                        ($_ -replace '^#+ ' -replace '[^\w\- ]').Trim().ToLowerInvariant().Replace(' ', '-')
                    }
                    $anchors | Should -Contain $anchor -Because "$Page leads to $target"
                }
            }
        }
    }

    It 'has PowerShell that could be typed in <Page>' -ForEach $pages {
        $text = [System.IO.File]::ReadAllText($Path)
        foreach ($match in [regex]::Matches($text, '(?ms)^```powershell\s*?\n(?<code>.*?)^```')) {
            (Find-ExampleProblem $match.Groups['code'].Value) -join '; ' | Should -BeNullOrEmpty -Because $match.Groups['code'].Value
        }
    }
}
