#Requires -Version 7.4

<#
.SYNOPSIS
Makes a container image of smcdr as an OCI archive, without Docker.

.DESCRIPTION
The image has what smcdr needs and nothing else: the published program with its runtime, the shared libraries that the loader of this machine finds for it, the
certificates of public authorities, and time zones. Where this machine has PostgreSQL, its programs come along: those of its clients for logical backups, its
server for tests of recovery, and then the locales of this machine, a shell and the few programs that restore_command calls, since pg_dumpall, pg_ctl and
the server start others through a shell. Without PostgreSQL there is no shell; there is no package manager in any case. It runs as user 65532 and writes nowhere but
to /tmp, so that its root may be read-only where a volume is mounted there.

The same input makes the same bytes: names are sorted, times are 1970, owners are root.

.EXAMPLE
./New-OciImage.ps1 -Application out/image -Path out/smcdr.tar -Version 0.1.0
#>
[CmdletBinding()]
[OutputType([pscustomobject])]
param(
    # The directory that smcdr was published to, self-contained and for linux-x64.
    [Parameter(Mandatory)]
    [string] $Application,

    # The archive to write.
    [Parameter(Mandatory)]
    [string] $Path,

    # The version, which becomes the image's tag.
    [Parameter(Mandatory)]
    [string] $Version,

    # Leave PostgreSQL's programs out, and with them the shell.
    [switch] $WithoutPostgres
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$user = '65532'
$libraryFolder = 'usr/lib/x86_64-linux-gnu'
$applicationFolder = 'usr/lib/smcdr'
$executable = 0x1ED # 755
$readable = 0x1A4 # 644

if (-not $IsLinux -or [System.Runtime.InteropServices.RuntimeInformation]::OSArchitecture -ne 'X64') {
    throw 'The image is made of the shared libraries of this machine, which must be Linux on x86-64.'
}

function New-Layer {
    [Diagnostics.CodeAnalysis.SuppressMessageAttribute('PSUseShouldProcessForStateChangingFunctions', '', Justification = 'It is a table in memory.')]
    param()

    [System.Collections.Generic.SortedDictionary[string, hashtable]]::new([System.StringComparer]::Ordinal)
}

function Add-Entry {
    param([System.Collections.Generic.SortedDictionary[string, hashtable]] $Layer, [string] $Name, [hashtable] $Entry)

    for ($parent = [System.IO.Path]::GetDirectoryName($Name); $parent; $parent = [System.IO.Path]::GetDirectoryName($parent)) {
        if (-not $Layer.ContainsKey("$parent/")) {
            $Layer["$parent/"] = @{ Type = 'Directory'; Mode = $executable }
        }
    }

    $Layer[$Name] = $Entry
}

function Add-File {
    param([System.Collections.Generic.SortedDictionary[string, hashtable]] $Layer, [string] $Name, [string] $Source, [int] $Mode = $readable)

    Add-Entry $Layer $Name @{ Type = 'RegularFile'; Source = $Source; Mode = $Mode }
}

function Add-Text {
    param([System.Collections.Generic.SortedDictionary[string, hashtable]] $Layer, [string] $Name, [string[]] $Line)

    Add-Entry $Layer $Name @{ Type = 'RegularFile'; Text = ($Line -join "`n") + "`n"; Mode = $readable }
}

function Add-Link {
    param([System.Collections.Generic.SortedDictionary[string, hashtable]] $Layer, [string] $Name, [string] $Target)

    Add-Entry $Layer $Name @{ Type = 'SymbolicLink'; Target = $Target; Mode = 0x1FF }
}

# The shared libraries that a file needs, as the loader of this machine finds them.
function Get-Library {
    param([string] $File)

    foreach ($line in ldd $File 2>&1) {
        if ("$line" -match '^\s*(?<name>\S+) => not found') {
            throw "The shared library '$($Matches.name)' that '$File' needs is not on this machine. Install its package, and run the command again."
        }

        if ("$line" -match '^\s*(?:\S+ => )?(?<path>/\S+) \(0x') {
            $Matches.path
        }
    }
}

# Where the loader of this machine has a library that is opened by name; none where it has not.
function Find-Library {
    param([string] $Name)

    $tool = @('/sbin/ldconfig', '/usr/sbin/ldconfig').Where({ Test-Path -LiteralPath $_ }, 'First')
    foreach ($line in & "$tool" -p) {
        if ($line -match "^\s*$([regex]::Escape($Name)) \(.*x86-64.*\) => (?<path>/\S+)") {
            return $Matches.path
        }
    }
}

function Get-Sha256 {
    param([string] $File)

    (Get-FileHash -LiteralPath $File -Algorithm SHA256).Hash.ToLowerInvariant()
}

function Write-TarFile {
    param([System.Collections.Generic.SortedDictionary[string, hashtable]] $Layer, [string] $File)

    $stream = [System.IO.File]::Create($File)
    $writer = [System.Formats.Tar.TarWriter]::new($stream, [System.Formats.Tar.TarEntryFormat]::Ustar, $false)
    try {
        foreach ($pair in $Layer.GetEnumerator()) {
            $entry = [System.Formats.Tar.UstarTarEntry]::new([System.Formats.Tar.TarEntryType] $pair.Value.Type, $pair.Key)
            $entry.ModificationTime = [System.DateTimeOffset]::UnixEpoch
            $entry.Mode = [System.IO.UnixFileMode] $pair.Value.Mode
            if ($pair.Value.Type -eq 'SymbolicLink') {
                $entry.LinkName = $pair.Value.Target
            }
            elseif ($pair.Value.ContainsKey('Source')) {
                $entry.DataStream = [System.IO.File]::OpenRead($pair.Value.Source)
            }
            elseif ($pair.Value.ContainsKey('Text')) {
                $entry.DataStream = [System.IO.MemoryStream]::new([System.Text.Encoding]::UTF8.GetBytes($pair.Value.Text))
            }

            try {
                $writer.WriteEntry($entry)
            }
            finally {
                if ($entry.DataStream) {
                    $entry.DataStream.Dispose()
                }
            }
        }
    }
    finally {
        $writer.Dispose()
    }
}

# Puts a file under its digest among the blobs, and describes it.
function Add-Blob {
    param([System.Collections.Generic.SortedDictionary[string, hashtable]] $Archive, [string] $File, [string] $MediaType)

    $digest = Get-Sha256 $File
    Add-File $Archive "blobs/sha256/$digest" $File
    [ordered]@{ mediaType = $MediaType; digest = "sha256:$digest"; size = [System.IO.FileInfo]::new($File).Length }
}

function Add-Document {
    param([System.Collections.Generic.SortedDictionary[string, hashtable]] $Archive, [object] $Content, [string] $File, [string] $MediaType)

    [System.IO.File]::WriteAllText($File, (ConvertTo-Json -InputObject $Content -Depth 10 -Compress))
    Add-Blob $Archive $File $MediaType
}

$program = Join-Path $Application 'smcdr'
if (-not (Test-Path -LiteralPath $program)) {
    throw "There is no '$program': publish smcdr for linux-x64, self-contained, first."
}

# The program's own layer, which changes with each version.
$own = New-Layer
Add-Link $own 'usr/bin/smcdr' '../lib/smcdr/smcdr'
$native = [System.Collections.Generic.List[string]]::new()
foreach ($file in Get-ChildItem -LiteralPath $Application -File -Recurse) {
    # What only debuggers and tracers read, and what would need the libraries of a tracer.
    if ($file.Extension -in '.pdb', '.xml' -or $file.Name -in 'libcoreclrtraceptprovider.so', 'createdump', 'SmcDr.Cli') {
        continue
    }

    $isNative = $file.Extension -eq '.so' -or $file.FullName -eq [System.IO.Path]::GetFullPath($program)
    if ($isNative) {
        $native.Add($file.FullName)
    }

    $name = [System.IO.Path]::GetRelativePath($Application, $file.FullName)
    Add-File $own "$applicationFolder/$name" $file.FullName ($isNative ? $executable : $readable)
}

# What it stands on.
$base = New-Layer
foreach ($link in 'bin', 'lib', 'lib64') {
    Add-Link $base $link "usr/$link"
}

foreach ($directory in 'dev/', 'etc/smcdr/', 'proc/', 'sys/', 'usr/bin/') {
    Add-Entry $base $directory @{ Type = 'Directory'; Mode = $executable }
}

Add-Entry $base 'tmp/' @{ Type = 'Directory'; Mode = 0x3FF } # 1777
Add-Text $base 'etc/passwd' 'root:x:0:0:root:/:/sbin/nologin', "smcdr:x:${user}:${user}:smcdr:/tmp:/sbin/nologin"
Add-Text $base 'etc/group' 'root:x:0:', "smcdr:x:${user}:"
Add-Text $base 'etc/nsswitch.conf' 'passwd: files', 'group: files', 'hosts: files dns'

# PostgreSQL's programs call the server in its own version or an older one, and a data directory wants a server of its own, so each version of this machine comes along.
$tools = @(
    if (-not $WithoutPostgres) {
        Get-ChildItem -Path '/usr/lib/postgresql/*/bin/*' -File -ErrorAction Ignore |
            Where-Object Name -In 'pg_dump', 'pg_dumpall', 'pg_restore', 'psql', 'postgres', 'pg_ctl', 'pg_controldata'
    }
)
foreach ($tool in $tools) {
    $native.Add($tool.FullName)
    Add-File $base $tool.FullName.TrimStart('/') $tool.FullName $executable
}

foreach ($server in $tools | Where-Object Name -EQ 'postgres') {
    $release = $server.Directory.Parent
    # Bitcode and the compiler for it stay here: they are larger than all the rest, and without them queries are only not compiled.
    foreach ($file in Get-ChildItem -LiteralPath "$release/lib" -File -Filter '*.so' | Where-Object Name -NE 'llvmjit.so') {
        $native.Add($file.FullName)
        Add-File $base $file.FullName.TrimStart('/') $file.FullName
    }

    foreach ($file in Get-ChildItem -LiteralPath "/usr/share/postgresql/$($release.Name)" -File -Recurse | Where-Object FullName -NotMatch '/man/') {
        Add-File $base $file.FullName.TrimStart('/') $file.FullName
    }
}

if ($tools) {
    # pg_dumpall and pg_ctl ask for the version of the program beside them by popen, and the server runs restore_command by system.
    foreach ($name in 'sh', 'cp', 'mv', 'rm', 'grep', 'sleep') {
        $found = Get-Command -Name $name -CommandType Application -TotalCount 1
        $target = [System.IO.Path]::GetFullPath((Get-Item -LiteralPath $found.Source).ResolvedTarget)
        $native.Add($target)
        Add-File $base "usr/bin/$name" $target $executable
    }

    # A database is sorted by a locale of the system, and does not open without it.
    foreach ($file in Get-ChildItem -LiteralPath '/usr/lib/locale' -File -Recurse -ErrorAction Ignore) {
        Add-File $base $file.FullName.TrimStart('/') $file.FullName
    }
}

# The runtime and smcdr open these by name. Without the last one nothing but Kerberos is missing.
foreach ($name in 'libssl.so.3', 'libcrypto.so.3', 'libzstd.so.1', 'libgssapi_krb5.so.2') {
    $found = Find-Library $name
    if ($found) {
        $native.Add($found)
    }
    elseif ($name -ne 'libgssapi_krb5.so.2') {
        throw "The shared library '$name' is not on this machine. Install libssl3 and libzstd1, and run the command again."
    }
}

$libraries = [System.Collections.Generic.SortedDictionary[string, string]]::new([System.StringComparer]::Ordinal)
foreach ($file in $native) {
    foreach ($library in @(Get-Library $file) + @($file | Where-Object { $_ -match '^/(usr/)?lib/x86_64' })) {
        if (-not $library.StartsWith([System.IO.Path]::GetFullPath($Application), [System.StringComparison]::Ordinal)) {
            $libraries[[System.IO.Path]::GetFileName($library)] = $library
        }
    }
}

foreach ($pair in $libraries.GetEnumerator()) {
    # The loader itself is named by its full path in every program.
    $folder = $pair.Key -like 'ld-linux*' ? 'usr/lib64' : $libraryFolder
    Add-File $base "$folder/$($pair.Key)" $pair.Value $executable
}

$authorities = '/etc/ssl/certs/ca-certificates.crt'
if (-not (Test-Path -LiteralPath $authorities)) {
    throw "There is no '$authorities', without which no certificate is trusted. Install ca-certificates, and run the command again."
}

Add-File $base $authorities.TrimStart('/') $authorities
$zones = '/usr/share/zoneinfo'
if (-not (Test-Path -LiteralPath "$zones/Europe")) {
    throw "There are no time zones in '$zones'. Install tzdata, and run the command again."
}

foreach ($file in Get-ChildItem -LiteralPath $zones -File -Recurse | Where-Object FullName -NotMatch '/(posix|right)/|/localtime$') {
    Add-File $base $file.FullName.TrimStart('/') $file.FullName
}

$work = (New-Item -ItemType Directory -Path (Join-Path ([System.IO.Path]::GetTempPath()) "smcdr-image-$([guid]::NewGuid().ToString('n'))")).FullName
try {
    $archive = New-Layer
    $layers = [System.Collections.Generic.List[object]]::new()
    $digests = [System.Collections.Generic.List[string]]::new()
    foreach ($layer in $base, $own) {
        $tar = Join-Path $work "layer$($layers.Count).tar"
        Write-TarFile $layer $tar
        $digests.Add("sha256:$(Get-Sha256 $tar)")
        $source = [System.IO.File]::OpenRead($tar)
        $packed = [System.IO.Compression.GZipStream]::new([System.IO.File]::Create("$tar.gz"), [System.IO.Compression.CompressionLevel]::Fastest)
        try {
            $source.CopyTo($packed)
        }
        finally {
            $packed.Dispose()
            $source.Dispose()
        }

        $layers.Add((Add-Blob $archive "$tar.gz" 'application/vnd.oci.image.layer.v1.tar+gzip'))
    }

    $configuration = Add-Document $archive -File (Join-Path $work 'config.json') -MediaType 'application/vnd.oci.image.config.v1+json' -Content ([ordered]@{
            created      = '1970-01-01T00:00:00Z'
            architecture = 'amd64'
            os           = 'linux'
            config       = [ordered]@{
                User       = "${user}:${user}"
                Env        = @(
                    'PATH=/usr/bin'
                    'HOME=/tmp'
                    'LANG=C.UTF-8'
                    "SSL_CERT_FILE=$authorities"
                    # There is no ICU, and a root that is read-only has no place for the runtime's diagnostics.
                    'DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1'
                    'DOTNET_EnableDiagnostics=0'
                )
                Entrypoint = @('/usr/bin/smcdr')
                WorkingDir = '/tmp'
                Labels     = [ordered]@{ 'org.opencontainers.image.title' = 'smcdr'; 'org.opencontainers.image.version' = $Version }
            }
            rootfs       = [ordered]@{ type = 'layers'; diff_ids = $digests.ToArray() }
        })
    $manifest = Add-Document $archive -File (Join-Path $work 'manifest.json') -MediaType 'application/vnd.oci.image.manifest.v1+json' -Content ([ordered]@{
            schemaVersion = 2
            mediaType     = 'application/vnd.oci.image.manifest.v1+json'
            config        = $configuration
            layers        = $layers.ToArray()
        })
    $manifest.annotations = [ordered]@{
        'io.containerd.image.name'          = "docker.io/library/smcdr:$Version"
        'org.opencontainers.image.ref.name' = $Version
    }
    Add-Text $archive 'oci-layout' '{"imageLayoutVersion":"1.0.0"}'
    Add-Text $archive 'index.json' (ConvertTo-Json -Depth 10 -Compress -InputObject ([ordered]@{ schemaVersion = 2; manifests = @($manifest) }))
    Write-TarFile $archive "$Path.new"
    [System.IO.File]::Move("$Path.new", $Path, $true)
}
finally {
    Remove-Item -LiteralPath $work -Recurse -Force
}

[pscustomobject]@{
    Path            = $Path
    Image           = "smcdr:$Version"
    Digest          = $manifest.digest
    SizeBytes       = [System.IO.FileInfo]::new($Path).Length
    PostgresVersion = @($tools | Where-Object Name -EQ 'pg_dump' | ForEach-Object { $_.Directory.Parent.Name } | Sort-Object -Unique)
    ServerVersion   = @($tools | Where-Object Name -EQ 'postgres' | ForEach-Object { $_.Directory.Parent.Name } | Sort-Object -Unique)
}
