#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# One Redis server is backed up, and its backups listed, verified, protected and removed: the blocks below follow each other.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'RedisServer.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $server = Open-TestRedisServer
    $null = Invoke-TestRedisCommand $server EVAL 'for i = 1, 1500 do redis.call("SET", "key:" .. i, i) end' 0
    $null = Invoke-TestRedisCommand $server SET session abc EX 10000
    $null = Invoke-TestRedisCommand $server HSET user:1 name Ada city London
    $repository = Join-Path $server.Root 'repository'

    function Save-RedisSite {
        param([string] $Name = 'pester-redis', [string] $SecretReference = "file:$($server.SecretFile)", [string] $More = '')

        $path = Join-Path $server.Root "$Name.yaml"
        Set-Content -LiteralPath $path -Value @"
name: $Name
repository: { location: "file://$repository" }
regions:
  here:
    role: primary
    redis: { endpoint: "127.0.0.1:$($server.Port)", password: "$SecretReference"$More }
"@
        $path
    }

    Set-SmcSite (Save-RedisSite)
}

AfterAll {
    if ($server) {
        Close-TestRedisServer $server
    }
}

Describe 'Test-SmcSite' {
    It 'looks at Redis' {
        $checks = Test-SmcSite | Where-Object Name -Like 'Redis*'
        $checks | Where-Object Outcome -EQ Failed | Should -BeNullOrEmpty
        ($checks | Where-Object Name -EQ RedisVersion).Message | Should -BeLike 'Redis *, standalone.'
        ($checks | Where-Object Name -EQ RedisPersistence).Outcome | Should -Be 'Warning'
    }
}

Describe 'Backup-SmcRedis' {
    It 'says what it would do with -WhatIf, and makes no backup' {
        $text = Get-HostText { Backup-SmcRedis -WhatIf }
        $text | Should -BeLike "*Back up all keys to file://*Redis at 127.0.0.1:$($server.Port)*"
        Join-Path $repository 'redis' | Should -Not -Exist
    }

    It 'backs up all keys and says what they are' {
        $backup = Backup-SmcRedis -Label first
        $backup | Should -BeOfType [SmcDr.BackupInfo]
        $backup.Component | Should -Be 'Redis'
        $backup.State | Should -Be 'Complete'
        $backup.KeyCount | Should -Be 1502
        $backup.ExpiringKeyCount | Should -Be 1
        $backup.Source | Should -Be "127.0.0.1:$($server.Port)"
        $backup.Label | Should -Be 'first'
        $backup.SkewSeconds | Should -BeNullOrEmpty
        ($backup | Format-List | Out-String) | Should -Match 'KeyCount\s+: 1502'
    }

    It 'reads the file that the server saves with -Method BgSave' {
        (Backup-SmcRedis -Method BgSave -Label saved).KeyCount | Should -Be 1502
        Join-Path $server.DataDirectory 'dump.rdb' | Should -Exist
        Push-Location -LiteralPath $server.DataDirectory
        try {
            (Backup-SmcRedis -Method BgSave -RdbPath ./dump.rdb -Label relative).KeyCount | Should -Be 1502
        } finally {
            Pop-Location
        }

        Assert-SmcError SmcTargetUnsuitable { Backup-SmcRedis -Method BgSave -RdbPath (Join-Path $server.Root 'nosuch' 'dump.rdb') }
    }

    It 'asks a replica where the site file says so, unless the command says otherwise' {
        $site = Save-RedisSite -Name 'pester-replica' -More ', preferReplica: true'
        $backup = Backup-SmcRedis -Site $site -WarningVariable warnings -WarningAction SilentlyContinue
        "$warnings" | Should -BeLike '*No replica*'
        $null = Backup-SmcRedis -Site $site -PreferReplica:$false -WarningVariable without
        $without | Should -BeNullOrEmpty
        Assert-SmcError SmcArgumentInvalid { Backup-SmcRedis -Site $site -PreferReplica -Method BgSave }
        Get-SmcBackup | Where-Object Id -GE $backup.Id | Remove-SmcBackup -Force -Confirm:$false | Should -HaveCount 2
    }

    It 'leaves no backup and no secret where the password is wrong' {
        $before = (Get-SmcBackup).Id
        $wrong = Join-Path $server.Root 'wrong'
        Set-Content -LiteralPath $wrong -Value 'not-the-secret'
        chmod 600 $wrong
        $refused = Assert-SmcError SmcAuthenticationFailed { Backup-SmcRedis -Site (Save-RedisSite -Name 'pester-wrong' -SecretReference "file:$wrong") }
        "$($refused | Format-List -Property * -Force | Out-String)" | Should -Not -Match 'not-the-secret'
        (Get-SmcBackup).Id | Should -Be $before
    }
}

Describe 'Restore-SmcRedis' {
    BeforeAll {
        $target = Open-TestRedisServer
        $account = [pscredential]::new('default', [System.Net.NetworkCredential]::new('', $target.Secret).SecurePassword)
        $elsewhere = @{ Endpoint = "127.0.0.1:$($target.Port)"; Credential = $account }
    }

    AfterAll {
        Close-TestRedisServer $target
    }

    It 'shows the plan with -WhatIf, and changes nothing' {
        $null = Invoke-TestRedisCommand $target SET other x
        $text = Get-HostText { Restore-SmcRedis @elsewhere -Empty -WhatIf }
        $text | Should -BeLike '*Restore 1,502 keys*'
        $text | Should -BeLike '*remove all 1 keys of the server (FLUSHALL)*'
        Invoke-TestRedisCommand $target DBSIZE | Should -Be 1
    }

    It 'restores the backup that comes through the pipeline, to another server' {
        $result = Get-SmcBackup -Component Redis | Where-Object Label -EQ first | Restore-SmcRedis @elsewhere -Confirm:$false
        $result | Should -BeOfType [SmcDr.RedisRestoreResult]
        $result.State | Should -Be 'Complete'
        $result.Verified | Should -BeTrue
        $result.KeysRestored | Should -Be 1502
        $result.Method | Should -Be 'Online'
        $result.Target | Should -Be "127.0.0.1:$($target.Port)"
        Invoke-TestRedisCommand $target DBSIZE | Should -Be 1503
    }

    It 'restores the newest backup to the site''s server, by name of keys' {
        $null = Invoke-TestRedisCommand $server DEL key:7 user:1
        $result = Restore-SmcRedis -KeyPattern 'user:*', 'key:7' -Confirm:$false
        $result.KeysRestored | Should -Be 2
        $result.KeysSkipped | Should -Be 1500
        Invoke-TestRedisCommand $server GET key:7 | Should -Be '7'
    }

    It 'does not give the site''s password to another server' {
        Assert-SmcError SmcAuthenticationFailed { Restore-SmcRedis -Endpoint "127.0.0.1:$($target.Port)" -Confirm:$false }
    }

    It 'does nothing where no backup comes, and refuses several' {
        Get-SmcBackup | Where-Object Label -EQ nosuch | Restore-SmcRedis -Confirm:$false -WarningVariable warnings -WarningAction SilentlyContinue
        "$warnings" | Should -BeLike '*nothing is restored*'
        Assert-SmcError SmcArgumentInvalid { Get-SmcBackup -Component Redis | Restore-SmcRedis -Confirm:$false }
    }
}

Describe 'Restore-SmcRedis by the server''s files' {
    BeforeAll {
        $onFiles = Open-TestRedisServer -Setting 'appendonly yes', 'enable-debug-command local'
        $null = Invoke-TestRedisCommand $onFiles EVAL 'for i = 1, 1500 do redis.call("SET", "key:" .. i, i) end' 0
        $null = Invoke-TestRedisCommand $onFiles HSET user:1 name Ada city London
        $digest = Invoke-TestRedisCommand $onFiles DEBUG DIGEST
        $filesSite = Join-Path $onFiles.Root 'files.yaml'
        Set-Content -LiteralPath $filesSite -Value @"
name: pester-redis-files
repository: { location: "file://$(Join-Path $onFiles.Root 'repository')" }
regions:
  here:
    role: primary
    redis:
      endpoint: "127.0.0.1:$($onFiles.Port)"
      password: "file:$($onFiles.SecretFile)"
      dataDirectory: "$($onFiles.DataDirectory)"
      configFile: "$($onFiles.Configuration)"
      binDirectory: "$($onFiles.Root)"
"@
        $null = Backup-SmcRedis -Site $filesSite
        $null = Invoke-TestRedisCommand $onFiles FLUSHALL
        $null = Invoke-TestRedisCommand $onFiles SET later x
    }

    AfterAll {
        # The server that the restore has started is no process of this session.
        $null = Invoke-TestRedisCommand $onFiles SHUTDOWN NOSAVE -AllowFailure
        Close-TestRedisServer $onFiles
    }

    It 'says with -WhatIf that it would stop the server, and changes nothing' {
        $text = Get-HostText { Restore-SmcRedis -Site $filesSite -Method Offline -WhatIf }
        $text | Should -BeLike '*Stop Redis * without saving*'
        $text | Should -BeLike '*and up to 1,000 values, with the backup*'
        Invoke-TestRedisCommand $onFiles GET later | Should -Be 'x'
    }

    It 'chooses no keys' {
        Assert-SmcError SmcArgumentInvalid { Restore-SmcRedis -Site $filesSite -Method Offline -KeyPattern 'user:*' -Confirm:$false }
    }

    It 'stops the server, puts the backup in place, starts it and compares' {
        $result = Restore-SmcRedis -Site $filesSite -Method Offline -Confirm:$false
        $result | Should -BeOfType [SmcDr.RedisRestoreResult]
        $result.Method | Should -Be 'Offline'
        $result.State | Should -Be 'Complete'
        $result.Verified | Should -BeTrue
        $result.KeysRestored | Should -Be 1501
        $result.SampledKeys | Should -Be 1000
        $result.MismatchedKeys | Should -Be 0
        $onFiles.Process.HasExited | Should -BeTrue
        Invoke-TestRedisCommand $onFiles DEBUG DIGEST | Should -Be $digest
    }
}

Describe 'What is done with backups of Redis' {
    It 'lists them as those of Redis' {
        $backups = Get-SmcBackup -Component Redis
        $backups.Label | Should -Be 'first', 'saved', 'relative'
        ($backups | Out-String -Width 120) | Should -BeLike '*Redis in file://*'
        Get-SmcBackup -Component Database | Should -BeNullOrEmpty
    }

    It 'verifies them' {
        $results = Test-SmcBackup -Deep
        $results.Outcome | Should -Be 'Passed', 'Passed', 'Passed'
        Test-SmcBackup -NewerThan 1h -Quiet | Should -BeTrue
        (Test-SmcBackup -NewerThan 0s).Problems.Code | Should -Contain 'SmcBackupOutdated'
    }

    It 'copies, protects and removes them' {
        $first = Get-SmcBackup | Where-Object Label -EQ first
        $copy = Join-Path $server.Root 'copy'
        $null = $first | Copy-SmcBackup -Destination $copy
        Join-Path $copy 'redis' $first.Id 'complete' | Should -Exist
        $null = $first | Protect-SmcBackup -Hold audit
        Assert-SmcError SmcBackupProtected { $first | Remove-SmcBackup -Confirm:$false -ErrorAction Stop }
        Unprotect-SmcBackup $first.Id -Confirm:$false
        ($first | Remove-SmcBackup -Confirm:$false).Action | Should -Be 'Removed'
        Get-SmcBackup | Should -HaveCount 2
    }
}
