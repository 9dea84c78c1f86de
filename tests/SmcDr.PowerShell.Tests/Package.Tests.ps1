#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# The staged module as a package: made as build.ps1 makes it, installed from a folder in a process that has nothing else, and run.

BeforeDiscovery {
    $skip = -not (Get-Command -Name Compress-PSResource -ErrorAction Ignore)
    if ($skip) {
        Write-Warning 'No package is tested: Microsoft.PowerShell.PSResourceGet is not here, or older than 1.1.'
    }
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    $module = Get-SmcModulePath
}

Describe 'The manifest' {
    It 'is right, and names all that there is' {
        $manifest = Test-ModuleManifest -Path $module -WarningAction Stop -ErrorAction Stop
        $manifest.Name | Should -Be 'SmcDr'
        $manifest.ExportedCmdlets.Count | Should -Be (Import-PowerShellDataFile $module).CmdletsToExport.Count
        $manifest.LicenseUri | Should -Not -BeNullOrEmpty
        $manifest.Tags | Should -Contain 'PSEdition_Core'
        Join-Path $manifest.ModuleBase 'Drills' 'SmcDr.Pester.psm1' | Should -Exist
    }
}

Describe 'The package' -Skip:$skip {
    BeforeAll {
        # PSResourceGet keeps its list of repositories, and what it installs, below the home directory: this account's own is left alone.
        $homeBefore = $env:HOME
        $env:HOME = (New-Item -ItemType Directory -Path (Join-Path $TestDrive 'home')).FullName
        $folder = (New-Item -ItemType Directory -Path (Join-Path $TestDrive 'gallery')).FullName
        Invoke-FreshPwsh -Parameters @{ Module = Split-Path $module; Folder = $folder } -Script {
            param($Module, $Folder)
            Compress-PSResource -Path $Module -DestinationPath $Folder
        }
        $package = Get-ChildItem -LiteralPath $folder -Filter '*.nupkg'
    }

    AfterAll {
        $env:HOME = $homeBefore
    }

    It 'is named by its version' {
        $package.Name | Should -Be "SmcDr.$((Import-PowerShellDataFile $module).ModuleVersion).nupkg"
    }

    It 'is installed from a folder by Install-PSResource, and works from there' {
        $found = Invoke-FreshPwsh -Parameters @{ Folder = $folder } -Script {
            param($Folder)
            Register-PSResourceRepository -Name local -Uri $Folder -Trusted
            (Find-PSResource -Name SmcDr -Repository local).Version.ToString()
            Install-PSResource -Name SmcDr -Repository local -Scope CurrentUser
            Import-Module SmcDr
            (Get-Module SmcDr).ModuleBase
            (Get-Command -Module SmcDr).Count
            (Get-Help Backup-SmcDatabase).Synopsis
            try { Test-SmcSite /nowhere.yaml } catch { $_.FullyQualifiedErrorId }
        }
        $manifest = Import-PowerShellDataFile $module
        $found[0] | Should -Be $manifest.ModuleVersion
        $found[1] | Should -BeLike "$env:HOME/*SmcDr/$($manifest.ModuleVersion)"
        $found[2] | Should -Be $manifest.CmdletsToExport.Count
        $found[3] | Should -BeLike 'Backs up*'
        $found[4] | Should -BeLike 'SmcSiteNotFound,*'
    }
}
