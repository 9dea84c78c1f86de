#Requires -Version 7.6

# A Redis server of the tests: its directory and port are its own, and everything goes with it.

function Open-TestRedisServer {
    <#
    .SYNOPSIS
    Starts a Redis server in an empty directory on a free loopback port, with a password.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        # Further lines of redis.conf.
        [string[]] $Setting = @()
    )

    $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-pester-redis-').FullName
    $secret = [guid]::NewGuid().ToString('N')
    $secretFile = Join-Path $root 'password'
    Set-Content -LiteralPath $secretFile -Value $secret
    chmod 600 $secretFile

    # With Debian's redis-tools alone the server is there under another name.
    $program = Join-Path $root 'redis-server'
    $found = Get-Command -Name redis-server, redis-check-rdb -CommandType Application -ErrorAction Ignore | Select-Object -First 1
    if (-not $found) {
        throw 'Redis is not on this machine; ''./build.sh test'' installs it.'
    }

    $null = New-Item -ItemType SymbolicLink -Path $program -Target $found.Source
    $port = Get-FreePort

    $data = (New-Item -ItemType Directory -Path (Join-Path $root 'data')).FullName
    $configuration = Join-Path $root 'redis.conf'
    Set-Content -LiteralPath $configuration -Value @(
        'bind 127.0.0.1'
        "port $port"
        "dir $data"
        "logfile $(Join-Path $root 'server.log')"
        'save ""'
        'repl-diskless-sync-delay 0'
        "requirepass $secret"
        $Setting
    )
    $server = [pscustomobject]@{
        Root          = $root
        DataDirectory = $data
        Configuration = $configuration
        Port          = $port
        Secret        = $secret
        SecretFile    = $secretFile
        Process       = Start-Process -FilePath $program -ArgumentList $configuration -PassThru -RedirectStandardOutput (Join-Path $root 'output')
    }
    try {
        Wait-Until "Redis at $port answers" {
            if ($server.Process.HasExited) {
                throw "The server ended: $(Get-Content -LiteralPath (Join-Path $root 'server.log') -Raw)"
            }

            (Invoke-TestRedisCommand $server PING -AllowFailure) -eq 'PONG'
        }
    } catch {
        Close-TestRedisServer $server
        throw
    }

    $server
}

function Invoke-TestRedisCommand {
    <#
    .SYNOPSIS
    Runs a command and gives the lines that redis-cli prints.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory, Position = 0)] $Server,
        [Parameter(Mandatory, Position = 1, ValueFromRemainingArguments)] [string[]] $Command,
        [switch] $AllowFailure
    )

    $env:REDISCLI_AUTH = $Server.Secret
    try {
        $output = redis-cli -e --no-auth-warning -p $Server.Port @Command 2>&1
    } finally {
        Remove-Item -LiteralPath env:REDISCLI_AUTH
    }

    if ($LASTEXITCODE -ne 0 -and -not $AllowFailure) {
        throw "redis-cli ended with ${LASTEXITCODE}: $($output -join "`n")"
    }

    "$output"
}

function Close-TestRedisServer {
    <#
    .SYNOPSIS
    Ends the server and removes everything.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] $Server)

    if (-not $Server.Process.HasExited) {
        $Server.Process.Kill()
    }

    $Server.Process.WaitForExit()
    Remove-Item -LiteralPath $Server.Root -Recurse -Force
}
