#Requires -Version 7.6

# Route 53 as moto plays it, with a zone example.test, and a DNS server that answers for that zone: both end with Close-TestDnsServer.

function Open-TestDnsServer {
    <#
    .SYNOPSIS
    Starts moto and dnsmasq on free loopback ports and makes a hosted zone. Credentials are in the environment until Close-TestDnsServer.
    #>
    [CmdletBinding()]
    [OutputType([pscustomobject])]
    param(
        # The records that the DNS server has, as options of dnsmasq.
        [string[]] $Record = @()
    )

    $root = [System.IO.Directory]::CreateTempSubdirectory('smcdr-pester-dns-').FullName
    $folders = $env:SMCDR_TOOLS, '/usr/local/lib/smcdr-tools', (Join-Path ($env:XDG_CACHE_HOME ?? (Join-Path $HOME '.cache')) 'smcdr-tools')
    $env:PYTHONPATH = $folders | Where-Object { $_ } | ForEach-Object { Join-Path $_ 'moto' } | Where-Object { Test-Path -LiteralPath $_ } | Select-Object -First 1
    $log = Join-Path $root 'moto.log'
    try {
        $splatMoto = @{
            FilePath               = '/usr/bin/python3'
            ArgumentList           = '-c', '"from moto.server import main; main([''-H'', ''127.0.0.1'', ''-p'', ''0''])"'
            RedirectStandardError  = $log
            RedirectStandardOutput = Join-Path $root 'moto.out'
            PassThru               = $true
        }
        $moto = Start-Process @splatMoto
    } finally {
        Remove-Item -LiteralPath env:PYTHONPATH -ErrorAction Ignore
    }

    $port = Get-FreePort
    $program = Get-Command -Name dnsmasq, /usr/sbin/dnsmasq -CommandType Application -ErrorAction Ignore | Select-Object -First 1
    $options = @(
        '--conf-file=/dev/null', '--keep-in-foreground', '--log-facility=-', '--pid-file=', '--no-resolv', '--no-hosts', '--bind-interfaces'
        '--listen-address=127.0.0.1', "--port=$port", '--auth-server=ns1.example.test,127.0.0.1', '--auth-zone=example.test', '--auth-ttl=60'
        if ((id -u) -eq '0') { '--user=root' }
        $Record
    )
    $server = Start-Process -FilePath $program.Source -ArgumentList $options -PassThru -RedirectStandardError (Join-Path $root 'dnsmasq.log')
    $dns = [pscustomobject]@{ Root = $root; Moto = $moto; Server = $server; Endpoint = $null; NameServer = "127.0.0.1:$port"; ZoneId = $null }
    try {
        Wait-Until 'moto is ready' {
            if ($moto.HasExited) {
                throw "moto ended: $(Get-Content -LiteralPath $log -Raw)"
            }

            (Get-Content -LiteralPath $log -Raw) -match 'Running on (http://127\.0\.0\.1:\d+)'
        }
        $null = (Get-Content -LiteralPath $log -Raw) -match 'Running on (http://127\.0\.0\.1:\d+)'
        $dns.Endpoint = $Matches[1]
        $env:AWS_ACCESS_KEY_ID = $env:AWS_SECRET_ACCESS_KEY = 'smcdr-tests'
        $splatZone = @{
            Uri         = "$($dns.Endpoint)/2013-04-01/hostedzone"
            Method      = 'Post'
            ContentType = 'text/xml'
            Body        = '<CreateHostedZoneRequest><Name>example.test</Name><CallerReference>1</CallerReference></CreateHostedZoneRequest>'
            # moto finds the service by the signature's scope, and does not check the signature.
            Headers     = @{ Authorization = 'AWS4-HMAC-SHA256 Credential=smcdr-tests/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=0' }
        }
        $answer = Invoke-WebRequest @splatZone -SkipHeaderValidation
        $dns.ZoneId = ([regex]'<Id>/hostedzone/([^<]+)</Id>').Match([string] $answer.Content).Groups[1].Value
    } catch {
        Close-TestDnsServer $dns
        throw
    }

    $dns
}

function Close-TestDnsServer {
    <#
    .SYNOPSIS
    Ends both servers and removes everything.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory)] $Dns)

    foreach ($process in $Dns.Moto, $Dns.Server) {
        if (-not $process.HasExited) {
            $process.Kill()
        }

        $process.WaitForExit()
    }

    Remove-Item -LiteralPath env:AWS_ACCESS_KEY_ID, env:AWS_SECRET_ACCESS_KEY -ErrorAction Ignore
    Remove-Item -LiteralPath $Dns.Root -Recurse -Force
}
