#Requires -Version 7.6

# A whole system on this host: a PostgreSQL and a Redis server, two directories, and a site file that names them all.
# Needs PostgresServer.ps1, RedisServer.ps1 and AlertReceiver.ps1.

function Open-TestSystem {
    <#
    .SYNOPSIS
    Starts the servers with some data, and writes the site file. Everything goes with Close-TestSystem.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        [string] $Name = 'pester-system',

        # What the webhook's path ends with: whoever knows it can write to the channel.
        [string] $Token = 'hook',

        # Further lines of the site file.
        [string] $More = ''
    )

    $system = [pscustomobject]@{
        Name        = $Name
        Server      = Open-TestServer
        Redis       = $null
        Receiver    = $null
        Root        = $null
        Files       = $null
        Logs        = $null
        Repository  = $null
        Site        = $null
        StateBefore = $env:SMCDR_STATE_DIR
    }
    try {
        $system.Root = $system.Server.Root
        $null = Invoke-TestSql $system.Server 'create table trades as select i as id, md5(i::text) as note from generate_series(1, 2000) i'
        $null = Invoke-TestSql $system.Server 'create database orders'
        $system.Redis = Open-TestRedisServer
        $null = Invoke-TestRedisCommand $system.Redis EVAL 'for i = 1, 200 do redis.call("SET", "key:" .. i, i) end' 0
        $system.Files = (New-Item -ItemType Directory -Path (Join-Path $system.Root 'files')).FullName
        $system.Logs = (New-Item -ItemType Directory -Path (Join-Path $system.Root 'logs')).FullName
        Set-Content -LiteralPath (Join-Path $system.Files 'limits.conf') -Value 'limit = 10'
        Set-Content -LiteralPath (Join-Path $system.Logs 'engine.log') -Value 'started'
        $system.Receiver = Open-TestReceiver http, 200, 200, 200, 200, 200, 200, 200, 200
        $env:SMCDR_TEST_SYSTEM_HOOK = "http://127.0.0.1:$($system.Receiver.Port)/$Token"
        $env:SMCDR_STATE_DIR = Join-Path $system.Root 'state'
        $system.Repository = Join-Path $system.Root 'repository'
        $system.Site = Join-Path $system.Root "$Name.yaml"
        Set-Content -LiteralPath $system.Site -Value @"
name: $Name
repository:
  location: "file://$($system.Repository)"
  retention: { daily: 1 }
objectives: { database: { rto: 15m, rpo: 5m }, redis: { rto: 5m, rpo: 1h } }
regions:
  here:
    role: primary
    database:
      connection: "Host=127.0.0.1;Username=postgres;Database=postgres"
      port: $($system.Server.Port)
      password: file:$($system.Server.SecretFile)
      dataDirectory: $($system.Server.DataDirectory)
      binDirectory: $(Get-PostgresBin)
    redis: { endpoint: "127.0.0.1:$($system.Redis.Port)", password: "file:$($system.Redis.SecretFile)" }
fileStores: [ { name: config, path: "$($system.Files)" }, { name: logs, path: "$($system.Logs)" } ]
notifications: [ { name: hook, webhook: env:SMCDR_TEST_SYSTEM_HOOK } ]
alerts: { heartbeatUrl: env:SMCDR_TEST_SYSTEM_HOOK }
contacts: [ { role: DBA, name: Kim, address: dba@example.test } ]
schedules: { database: "0 */6 * * *", fileStore: "0 3 * * *" }
$More
"@
    } catch {
        Close-TestSystem $system
        throw
    }

    $system
}

function Close-TestSystem {
    <#
    .SYNOPSIS
    Ends the servers and removes everything.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] $System)

    $env:SMCDR_STATE_DIR = $System.StateBefore
    $env:SMCDR_TEST_SYSTEM_HOOK = $null
    if ($System.Receiver) {
        Close-TestReceiver $System.Receiver
    }

    if ($System.Redis) {
        Close-TestRedisServer $System.Redis
    }

    Close-TestServer $System.Server
}

function Get-FileState {
    <#
    .SYNOPSIS
    Names, lengths, modes and digests of everything below directories. The data directory of a running server changes by itself: of that, only
    that it is there.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [string[]] $Path,

        # What is looked at from outside only.
        [string[]] $Closed = @()
    )

    $lines = foreach ($root in $Path) {
        $waiting = [System.Collections.Generic.Stack[string]]::new()
        $waiting.Push($root)
        while ($waiting.Count -gt 0) {
            $item = Get-Item -LiteralPath $waiting.Pop() -Force -ErrorAction Ignore
            if (-not $item) {
                continue
            }

            $what = '-'
            if (-not $item.PSIsContainer) {
                $what = "$($item.Length) $((Get-FileHash -LiteralPath $item.FullName).Hash)"
            } elseif ($item.FullName -notin $Closed -and -not $item.LinkTarget) {
                [System.IO.Directory]::GetFileSystemEntries($item.FullName) | ForEach-Object { $waiting.Push($_) }
            }

            "$($item.FullName) $($item.UnixMode) $what"
        }
    }

    ($lines | Sort-Object) -join "`n"
}

function Get-ServerState {
    <#
    .SYNOPSIS
    Rows, databases, roles, settings and slots of a PostgreSQL server, and since when it runs.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param([Parameter(Mandatory)] $Server)

    (Invoke-TestSql $Server @'
select 'rows', count(*)::text, md5(string_agg(t::text, ',' order by id)) from trades t
union all select 'database', datname::text, datconnlimit::text from pg_database
union all select 'role', rolname::text, rolconfig::text from pg_roles
union all select 'slot', slot_name::text, active::text from pg_replication_slots
union all select 'standby', application_name, sync_state from pg_stat_replication
union all select 'setting', name, setting from pg_settings where source not in ('default', 'session', 'client')
union all select 'server', pg_postmaster_start_time()::text, pg_is_in_recovery()::text
order by 1, 2, 3
'@) -join "`n"
}

function Get-RedisState {
    <#
    .SYNOPSIS
    A digest of all keys and values of a Redis server, its role and its run.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param([Parameter(Mandatory)] $Server)

    $digest = @'
local all = redis.call("KEYS", "*"); table.sort(all); local text = ""
for _, key in ipairs(all) do text = redis.sha1hex(text .. key .. redis.call("DUMP", key)) end
return #all .. " " .. text
'@
    $info = (Invoke-TestRedisCommand $Server INFO) -split '[\r\n ]+' -match '^(run_id|role|master_host|aof_enabled):'
    "$(Invoke-TestRedisCommand $Server EVAL $digest 0) $info"
}
