#Requires -Version 7.6

# A PostgreSQL server of the tests: its cluster, log and port are its own, and everything goes with it.

function Get-PostgresBin {
    [CmdletBinding()]
    [OutputType([string])]
    param()

    $candidates = @(
        if ($env:SMCDR_TEST_PGBIN) { $env:SMCDR_TEST_PGBIN }
        if (Get-Command -Name pg_config -ErrorAction Ignore) { pg_config --bindir }
        Get-ChildItem -Path '/usr/lib/postgresql/*/bin' -ErrorAction Ignore |
            Sort-Object -Property { [int] $_.Parent.Name } -Descending |
            ForEach-Object FullName
    )
    $found = $candidates | Where-Object { Test-Path -LiteralPath (Join-Path $_ 'initdb') } | Select-Object -First 1
    if (-not $found) {
        throw 'PostgreSQL''s server programs are not on this machine; ''./build.sh test'' installs them.'
    }

    $found
}

function Invoke-PostgresProgram {
    <#
    .SYNOPSIS
    Runs one of PostgreSQL's programs, as the user postgres where we are root, because the server refuses root.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)]
        [string] $Name,

        [Parameter(Mandatory)]
        [string[]] $ArgumentList
    )

    $program = Join-Path (Get-PostgresBin) $Name
    # The present directory may be closed to the other account.
    Push-Location -LiteralPath '/'
    try {
        $output = if ((id -u) -eq '0') {
            runuser -u postgres -- $program @ArgumentList 2>&1
        } else {
            & $program @ArgumentList 2>&1
        }
    } finally {
        Pop-Location
    }

    if ($LASTEXITCODE -ne 0) {
        throw "$Name ended with ${LASTEXITCODE}: $($output -join "`n")"
    }

    $output
}

function Save-TestSecret {
    <#
    .SYNOPSIS
    Writes the superuser's password to a file that the server's account may read, below a root that becomes that account's, and gives its path.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [string] $Root,
        [Parameter(Mandatory)] [string] $Secret
    )

    $path = Join-Path $Root 'password'
    Set-Content -LiteralPath $path -Value $Secret
    chmod 600 $path
    if ((id -u) -eq '0') {
        chown postgres $Root $path
    }

    $path
}

function Open-TestServer {
    <#
    .SYNOPSIS
    Creates a cluster and starts its server on a free loopback port.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param()

    $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-pester-').FullName
    $secret = [guid]::NewGuid().ToString('N')
    $secretFile = Save-TestSecret $root $secret

    $port = Get-FreePort

    $data = Join-Path $root 'data'
    $null = Invoke-PostgresProgram initdb @(
        '-D', $data, '-U', 'postgres', '-A', 'scram-sha-256', "--pwfile=$secretFile", '-E', 'UTF8', '--no-locale', '--no-sync',
        '--data-checksums', '--wal-segsize=1')
    Add-Content -LiteralPath (Join-Path $data 'postgresql.conf') -Value @(
        "port = $port"
        'listen_addresses = ''127.0.0.1'''
        'unix_socket_directories = '''''
        'max_connections = 30'
        'shared_buffers = 16MB'
        'fsync = off'
        'max_wal_size = 64MB'
        'min_wal_size = 8MB'
    )
    $server = [pscustomobject]@{
        Root          = $root
        DataDirectory = $data
        Port          = $port
        Secret        = $secret
        SecretFile    = $secretFile
    }
    Resume-TestServer $server
    $server
}

function Resume-TestServer {
    [CmdletBinding()]
    param([Parameter(Mandatory)] $Server)

    $log = Join-Path $Server.Root 'server.log'
    $null = Invoke-PostgresProgram pg_ctl @('start', '-w', '-s', '-D', $Server.DataDirectory, '-l', $log)
}

function Suspend-TestServer {
    [CmdletBinding()]
    param([Parameter(Mandatory)] $Server)

    $null = Invoke-PostgresProgram pg_ctl @('stop', '-w', '-s', '-m', 'fast', '-D', $Server.DataDirectory)
}

function Close-TestServer {
    <#
    .SYNOPSIS
    Stops whatever server runs below the root, and removes everything.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] $Server)

    foreach ($file in Get-ChildItem -LiteralPath $Server.Root -Recurse -Depth 2 -File -Filter 'postmaster.pid') {
        $null = Invoke-PostgresProgram pg_ctl @('stop', '-w', '-s', '-m', 'immediate', '-D', $file.DirectoryName)
    }
    Remove-Item -LiteralPath $Server.Root -Recurse -Force
}

function Invoke-TestSql {
    <#
    .SYNOPSIS
    Runs SQL as superuser and gives the lines that psql prints.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] $Server,
        [Parameter(Mandatory)] [string] $Sql
    )

    $env:PGPASSWORD = $Server.Secret
    try {
        $output = & (Join-Path (Get-PostgresBin) 'psql') -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p $Server.Port -U postgres -d postgres -c $Sql 2>&1
    } finally {
        Remove-Item -LiteralPath env:PGPASSWORD
    }

    if ($LASTEXITCODE -ne 0) {
        throw "psql ended with ${LASTEXITCODE}: $($output -join "`n")"
    }

    $output
}

function Save-TestSite {
    <#
    .SYNOPSIS
    Writes a site file for the server and gives its path.
    #>
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] $Server,
        [string] $Name = 'pester',
        [string] $SecretReference = "file:$($Server.SecretFile)",
        [string] $Repository = (Join-Path $Server.Root 'repository')
    )

    $path = Join-Path $Server.Root "$Name.yaml"
    Set-Content -LiteralPath $path -Value @"
name: $Name
repository:
  location: $Repository
objectives:
  database: { rto: 15m, rpo: 5m }
regions:
  here:
    role: primary
    database:
      connection: "Host=127.0.0.1;Username=postgres;Database=postgres"
      port: $($Server.Port)
      password: $SecretReference
      dataDirectory: $($Server.DataDirectory)
      binDirectory: $(Get-PostgresBin)
"@
    $path
}

function New-TestRegionSite {
    <#
    .SYNOPSIS
    Writes the file of a site with a primary and a standby as its regions, and gives its path.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] $Server,
        [Parameter(Mandatory)] $Standby,
        [string] $Repository = (Join-Path $Server.Root 'repository')
    )

    $path = Join-Path $Server.Root 'regions.yaml'
    Set-Content -LiteralPath $path -Value @"
name: $Name
repository:
  location: $Repository
regions:
  east:
    role: primary
    database:
      connection: "Host=127.0.0.1;Port=$($Server.Port);Username=postgres;Database=postgres"
      password: file:$($Server.SecretFile)
  west:
    role: standby
    database:
      connection: "Host=127.0.0.1;Port=$($Standby.Port);Username=postgres;Database=postgres"
      password: file:$($Server.SecretFile)
"@
    $path
}

function Open-TestStandby {
    <#
    .SYNOPSIS
    Copies the cluster of a server and starts a standby that streams from it; Close-TestServer ends it as well.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param([Parameter(Mandatory)] $Server)

    $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-pester-').FullName
    $secretFile = Save-TestSecret $root $Server.Secret

    $port = Get-FreePort

    $data = Join-Path $root 'data'
    # Everybody on the host can read a program's arguments.
    $env:PGPASSWORD = $Server.Secret
    try {
        $null = Invoke-PostgresProgram pg_basebackup @(
            '-D', $data, '-R', '-c', 'fast', '-X', 'stream', '-d', "host=127.0.0.1 port=$($Server.Port) user=postgres sslmode=disable")
    } finally {
        Remove-Item -LiteralPath env:PGPASSWORD
    }

    Add-Content -LiteralPath (Join-Path $data 'postgresql.conf') -Value "port = $port"
    $standby = [pscustomobject]@{
        Root          = $root
        DataDirectory = $data
        Port          = $port
        Secret        = $Server.Secret
        SecretFile    = $secretFile
    }
    Resume-TestServer $standby
    $standby
}
