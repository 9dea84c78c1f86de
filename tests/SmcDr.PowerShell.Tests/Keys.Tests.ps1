#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# An encrypted repository without a database: its keys are all that these cmdlets touch.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'PostgresServer.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $server = Open-TestServer
    $keyFile = Join-Path $server.Root 'repository.key'
    $site = Save-TestSite $server -Name keys -Repository (Join-Path $server.Root 'encrypted')
    $text = Get-Content -LiteralPath $site -Raw
    Set-Content -LiteralPath $site -Value ($text -replace '(?m)^(  location: .*)$', "`$1`n  encryptionKey: file:$keyFile") -NoNewline
    $passphrase = [System.Net.NetworkCredential]::new('', 'correct horse battery staple').SecurePassword
    Set-SmcSite $site
}

AfterAll {
    if ($server) {
        Close-TestServer $server
    }
}

Describe 'A key file' {
    It 'is not made by -WhatIf' {
        New-SmcRepositoryKey $keyFile -WhatIf
        $keyFile | Should -Not -Exist
    }

    It 'is made for this account alone, and never over anything' {
        $made = New-SmcRepositoryKey $keyFile
        $made | Should -BeOfType [SmcDr.KeyFileInfo]
        $made.Path | Should -Be $keyFile
        $made.Fingerprint | Should -Match '^[0-9a-f]{16}$'
        [System.IO.File]::GetUnixFileMode($keyFile) | Should -Be 'UserWrite, UserRead'
        Assert-SmcError SmcTargetNotEmpty { New-SmcRepositoryKey $keyFile }
    }
}

Describe 'The keys of a repository' {
    BeforeAll {
        $null = Backup-SmcDatabase
    }

    It 'are those of the site''s key at first' {
        $key = @(Get-SmcRepositoryKey)
        $key.Count | Should -Be 1
        $key[0] | Should -BeOfType [SmcDr.RepositoryKeyInfo]
        $key[0].Kind | Should -Be 'KeyFile'
        $key[0].Opens | Should -BeTrue
        $key[0].Current | Should -BeTrue
        (Get-SmcBackup).Encrypted | Should -BeTrue
        (Test-SmcSite | Where-Object Name -EQ 'RepositoryEncryption').Outcome | Should -Be 'Passed'
    }

    It 'are shown in a table that fits 120 columns' {
        $lines = Get-SmcRepositoryKey | Out-String -Width 120 -Stream
        $lines -match 'Name\s+Kind\s+KeyId' | Should -Not -BeNullOrEmpty
        ($lines | Measure-Object -Property Length -Maximum).Maximum | Should -BeLessOrEqual 120
    }

    It 'open with another recipient once it is added' {
        New-SmcRepositoryKey -Passphrase $passphrase -Name safe -WhatIf
        @(Get-SmcRepositoryKey).Count | Should -Be 1
        $added = New-SmcRepositoryKey -Passphrase $passphrase -Name safe
        $added.Name | Should -Be 'safe'
        $added.Kind | Should -Be 'Passphrase'
        (Get-SmcRepositoryKey).Name | Should -Contain 'safe'
        Assert-SmcError SmcKeyExists { New-SmcRepositoryKey -KeyFile (New-SmcRepositoryKey (Join-Path $server.Root 'other.key')).Path -Name safe }
        Assert-SmcError SmcKeyInvalid { New-SmcRepositoryKey -Passphrase ([System.Net.NetworkCredential]::new('', 'short').SecurePassword) -Name weak }
    }

    It 'are renewed for all recipients or not at all' {
        Assert-SmcError SmcKeyMissing { Update-SmcRepositoryKey -Confirm:$false }
        $renewed = Update-SmcRepositoryKey -Passphrase $passphrase -Confirm:$false
        $renewed.Count | Should -Be 2
        $renewed.Current | Should -Not -Contain $false
        (Get-SmcRepositoryKey | Group-Object -Property KeyId | ForEach-Object Count) | Should -Be @(2, 2)
        $null = Backup-SmcDatabase
        (Get-SmcBackup).State | Should -Be @('Complete', 'Complete')
    }

    It 'lose a recipient, but not the one that opens them here' {
        $own = (Get-SmcRepositoryKey | Where-Object Opens)[0].Name
        Assert-SmcError SmcKeyNeeded { Remove-SmcRepositoryKey $own -Confirm:$false }
        Assert-SmcError SmcKeyNotFound { Remove-SmcRepositoryKey nobody -Confirm:$false }
        Remove-SmcRepositoryKey safe -WhatIf
        (Get-SmcRepositoryKey).Name | Should -Contain 'safe'
        Remove-SmcRepositoryKey safe -Confirm:$false
        (Get-SmcRepositoryKey).Name | Should -Not -Contain 'safe'
    }

    It 'are missed with advice where the site has another key' {
        Move-Item -LiteralPath $keyFile -Destination "$keyFile.right"
        try {
            Assert-SmcError SmcSecretUnavailable { Get-SmcBackup -ErrorAction Stop }
            $null = New-SmcRepositoryKey $keyFile
            Assert-SmcError SmcKeyWrong { Get-SmcBackup -ErrorAction Stop }
        } finally {
            Move-Item -LiteralPath "$keyFile.right" -Destination $keyFile -Force
        }
    }
}
