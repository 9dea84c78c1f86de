#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# Every cmdlet is called in a test that it passes, and fails as SmcDr does: with an id, and what to do about it. A new one without either fails here.

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
    $commands = Get-Command -Module SmcDr -CommandType Cmdlet
    # A plan is taken back wholly only where a failover was cut short before a server was promoted: xunit's tests of regions do that, with real servers.
    $all = $commands.Name | Where-Object { $_ -ne 'Undo-SmcPlan' }

    # What fails otherwise than by a site that is not there.
    $own = @{
        'Get-SmcSite'     = @{ Id = 'SmcSiteNotFound'; Arguments = @{ Name = 'nosuch' } }
        'Set-SmcSite'     = @{ Id = 'SmcSiteNotFound'; Arguments = @{ Path = '/nowhere/smcdr.yaml' } }
        'Invoke-SmcDrill' = @{ Id = 'SmcProgramNotFound'; Arguments = @{ BinDirectory = '/nowhere' } }
    }
    # What is looked at before the site is.
    $more = @{
        'Export-SmcTable'      = @{ OutFile = '/tmp/nothing.csv' }
        'Invoke-SmcRunbook'    = @{ Scenario = 'DataCenterFailure' }
        'New-SmcRepositoryKey' = @{ KmsKeyId = 'alias/nobody' }
        'Set-SmcDnsRecord'     = @{ Region = 'east' }
    }

    function Get-Argument([System.Management.Automation.CommandParameterInfo] $Parameter) {
        switch ($Parameter.ParameterType) {
            { $_ -eq [string] -or $_ -eq [string[]] } { 'x' }
            { $_ -eq [switch] } { $true }
            { $_.IsEnum } { [enum]::GetValues($_)[-1] }
            { $_.Name -eq 'Instant' } { '2020-01-01T00:00:00Z' }
            default { throw "There is no example of $_ for -$($Parameter.Name)." }
        }
    }

    $failing = foreach ($command in $commands) {
        if ($own.ContainsKey($command.Name)) {
            $own[$command.Name] + @{ Name = $command.Name }
            continue
        }

        $arguments = @{ Site = '/nowhere/smcdr.yaml' } + ($more[$command.Name] ?? @{})
        $set = $command.ParameterSets | Where-Object {
            $names = $_.Parameters.Name
            -not ($arguments.Keys | Where-Object { $_ -notin $names })
        } | Sort-Object IsDefault -Descending -Stable | Select-Object -First 1
        foreach ($parameter in $set.Parameters | Where-Object { $_.IsMandatory -and -not $arguments.ContainsKey($_.Name) }) {
            $arguments[$parameter.Name] = Get-Argument $parameter
        }

        @{ Name = $command.Name; Id = 'SmcSiteNotFound'; Arguments = $arguments }
    }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global
}

Describe 'A cmdlet' {
    BeforeAll {
        # Whether a command stands where it is to fail, or only says what it would do.
        function Test-Success([System.Management.Automation.Language.CommandAst] $Command) {
            if ($Command.Extent.Text -match '-WhatIf\b(?!:\$false)') {
                return $false
            }

            for ($node = $Command.Parent; $node; $node = $node.Parent) {
                if ($node -is [System.Management.Automation.Language.CommandAst] -and $node.GetCommandName() -eq 'Assert-SmcError') {
                    return $false
                }

                if ($node -is [System.Management.Automation.Language.PipelineAst] -and $node.Extent.Text -match '^\{.*\}\s*\|\s*Should -Throw') {
                    return $false
                }

                if ($node -is [System.Management.Automation.Language.TryStatementAst]) {
                    return $false
                }
            }

            $true
        }

        $called = foreach ($file in Get-ChildItem -LiteralPath $PSScriptRoot -Filter '*.Tests.ps1') {
            $ast = [System.Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref] $null, [ref] $null)
            $ast.FindAll({ $args[0] -is [System.Management.Automation.Language.CommandAst] -and $args[0].GetCommandName() -match '^[A-Z][a-z]+-Smc' }, $true) |
                Where-Object { Test-Success $_ } |
                ForEach-Object { $_.GetCommandName() }
        }
    }

    It 'is called by a test that it passes: <_>' -ForEach $all {
        $_ | Should -BeIn $called
    }

    It 'says by an id what is wrong, and what to do: <Name>' -ForEach $failing {
        $script = { & $Name @Arguments -ErrorAction Stop }
        if ((Get-Command $Name).Parameters.ContainsKey('Confirm')) {
            $script = { & $Name @Arguments -Confirm:$false -ErrorAction Stop }
        }

        Assert-SmcError $Id $script
    }
}

Describe 'Errors that cmdlets have of their own' {
    BeforeAll {
        $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-test-').FullName
        $files = (New-Item -ItemType Directory -Path (Join-Path $root 'files')).FullName
        Set-Content -LiteralPath (Join-Path $files 'one') -Value 'one'
        $site = Join-Path $root 'smcdr.yaml'
        Set-Content -LiteralPath $site -Value @"
name: pester-errors
repository: { location: "file://$root/repository" }
regions: { here: { role: primary } }
fileStores: [ { name: config, path: "$files" } ]
"@
        Set-SmcSite $site
    }

    AfterAll {
        if ($root) {
            Remove-Item -LiteralPath $root -Recurse -Force
        }
    }

    It 'tell that there is no repository yet' {
        Assert-SmcError SmcRepositoryNotFound { Get-SmcRecoveryTest }
        Assert-SmcError SmcRepositoryNotFound { Get-SmcWalArchive }
        Assert-SmcError SmcRepositoryNotFound { Get-SmcIncident }
        Assert-SmcError SmcRepositoryNotFound { Get-SmcPlan }
        Assert-SmcError SmcRepositoryNotFound { Get-SmcRepositoryKey }
        Assert-SmcError SmcRepositoryNotFound { Invoke-SmcRetention -Confirm:$false }
        Assert-SmcError SmcRepositoryNotFound { Unprotect-SmcBackup 20200101T000000Z-none -Confirm:$false }
        Assert-SmcError SmcRepositoryNotFound { Stop-SmcPlan 20200101T000000Z-none -Confirm:$false }
        Assert-SmcError SmcRepositoryNotFound { Start-SmcIncident 'Rows are gone' }
    }

    It 'tell what the site does not have' {
        $null = Backup-SmcFileStore -Confirm:$false
        Assert-SmcError SmcArgumentInvalid { Backup-SmcSystem -Component Redis -Confirm:$false }
        Assert-SmcError SmcSiteInvalid { Suspend-SmcWorkload -Confirm:$false }
        Assert-SmcError SmcSiteInvalid { Resume-SmcWorkload -Confirm:$false }
        Assert-SmcError SmcSiteInvalid { Send-SmcHeartbeat }
        Assert-SmcError SmcRepositoryNotEncrypted { Get-SmcRepositoryKey }
    }

    It 'tell what is not in its repository' {
        Assert-SmcError SmcIncidentUnsuitable { Add-SmcIncidentNote 'It is back' }
        Assert-SmcError SmcIncidentUnsuitable { Get-SmcIncident 20200101T000000Z-incident }
        Assert-SmcError SmcPlanUnsuitable { Stop-SmcPlan 20200101T000000Z-none -Confirm:$false }
        Assert-SmcError SmcPlanUnsuitable { Get-SmcPlan 20200101T000000Z-none }
        Assert-SmcError SmcBackupNotFound { Unprotect-SmcBackup 20200101T000000Z-none -Confirm:$false }
        Assert-SmcError SmcBackupNotFound { Protect-SmcBackup 20200101T000000Z-none -Hold audit }
    }
}
