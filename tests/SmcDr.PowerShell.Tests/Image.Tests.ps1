#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# The image that './build.ps1 -Task Image' has made: looked at, and run in a pod where SMCDR_TEST_IMAGE_LOADER is a command that brings an archive to the
# cluster's node, such as 'ctr -n k8s.io images import'.

BeforeDiscovery {
    $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
    $version = (Import-PowerShellDataFile -LiteralPath (Join-Path $root 'SmcDr.psd1')).ModuleVersion
    $isThere = Test-Path -LiteralPath ([System.IO.Path]::Combine($root, 'out', "smcdr-$version-oci.tar"))
    if (-not $isThere) {
        Write-Warning "The container image is not tested: it was not made ('./build.ps1 -Task Image')."
    }

    $runs = $isThere -and $env:SMCDR_TEST_IMAGE_LOADER -and $env:SMCDR_TEST_KUBECONFIG -and (Get-Command kubectl -ErrorAction Ignore)
    if ($isThere -and -not $runs) {
        Write-Warning 'The container image is not run: SMCDR_TEST_IMAGE_LOADER names no command that loads it, SMCDR_TEST_KUBECONFIG no cluster, or there is no kubectl.'
    }
}

Describe 'The container image' -Skip:(-not $isThere) {
    BeforeAll {
        $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
        $version = (Import-PowerShellDataFile -LiteralPath (Join-Path $root 'SmcDr.psd1')).ModuleVersion
        $archive = [System.IO.Path]::Combine($root, 'out', "smcdr-$version-oci.tar")
        $content = [System.IO.Directory]::CreateTempSubdirectory('smcdr-test-').FullName
        [System.Formats.Tar.TarFile]::ExtractToDirectory($archive, $content, $false)

        function Get-Blob([string] $Digest) {
            Get-Content -LiteralPath ([System.IO.Path]::Combine($content, 'blobs', 'sha256', $Digest.Replace('sha256:', ''))) -Raw | ConvertFrom-Json
        }

        $index = Get-Content -LiteralPath (Join-Path $content 'index.json') -Raw | ConvertFrom-Json
        $manifest = Get-Blob $index.manifests[0].digest
        $configuration = Get-Blob $manifest.config.digest
    }

    AfterAll {
        Remove-Item -LiteralPath $content -Recurse -Force
    }

    It 'has blobs that are what their names say, and no others' {
        $blobs = Get-ChildItem -LiteralPath ([System.IO.Path]::Combine($content, 'blobs', 'sha256'))
        foreach ($blob in $blobs) {
            (Get-FileHash -LiteralPath $blob.FullName -Algorithm SHA256).Hash | Should -Be $blob.Name
        }

        @($index.manifests[0], $manifest.config) + $manifest.layers | ForEach-Object { $_.digest.Replace('sha256:', '') } | Sort-Object |
            Should -Be ($blobs.Name | Sort-Object)
    }

    It 'runs smcdr as an ordinary user' {
        $configuration.config.User | Should -Be '65532:65532'
        $configuration.config.Entrypoint | Should -Be '/usr/bin/smcdr'
        $configuration.os, $configuration.architecture | Should -Be 'linux', 'amd64'
    }

    It 'holds no shell but that of PostgreSQL, no time of its making and nothing that belongs to a user' {
        $names = foreach ($layer in $manifest.layers) {
            $file = [System.IO.File]::OpenRead([System.IO.Path]::Combine($content, 'blobs', 'sha256', $layer.digest.Replace('sha256:', '')))
            $reader = [System.Formats.Tar.TarReader]::new([System.IO.Compression.GZipStream]::new($file, [System.IO.Compression.CompressionMode]::Decompress))
            try {
                while ($entry = $reader.GetNextEntry()) {
                    $entry.ModificationTime | Should -Be ([System.DateTimeOffset]::UnixEpoch)
                    $entry.Uid, $entry.Gid | Should -Be 0, 0
                    $entry.Name
                }
            } finally {
                $reader.Dispose()
            }
        }

        $names | Should -Contain 'usr/lib/smcdr/smcdr'
        $names | Should -Contain 'usr/lib/x86_64-linux-gnu/libssl.so.3'
        $names | Should -Contain 'usr/share/zoneinfo/Europe/Berlin'
        $shells = @($names | Where-Object { $_ -match '/(ba|da|z)?sh$' })
        $shells -join ' ' | Should -Be (($names -match '/pg_dumpall$') ? 'usr/bin/sh' : '')
    }

    It 'is the same when it is made again' {
        $again = Join-Path $content 'again.tar'
        $script = [System.IO.Path]::Combine($root, 'src', 'SmcDr.Cli', 'Image', 'New-OciImage.ps1')
        $made = & $script -Application ([System.IO.Path]::Combine($root, 'out', 'image')) -Path $again -Version $version
        $made.Digest | Should -Be $index.manifests[0].digest
        (Get-FileHash -LiteralPath $again).Hash | Should -Be (Get-FileHash -LiteralPath $archive).Hash
    }

    It 'backs up and encrypts in a pod, on a root that is read-only' -Skip:(-not $runs) {
        $words = @(-split $env:SMCDR_TEST_IMAGE_LOADER)
        $arguments = @($words | Select-Object -Skip 1) + $archive
        & $words[0] @arguments *> $null
        $LASTEXITCODE | Should -Be 0
        $namespace = "smcdr-pester-$([guid]::NewGuid().ToString('N').Substring(0, 8))"
        function Invoke-Kubectl {
            $output = $input | kubectl --kubeconfig $env:SMCDR_TEST_KUBECONFIG --namespace $namespace @args 2>&1
            if ($LASTEXITCODE -ne 0) {
                throw "kubectl $args failed: $output"
            }

            $output
        }

        $null = Invoke-Kubectl create namespace $namespace
        try {
            # The account is made a moment after the namespace, and no pod is before it.
            for ($i = 0; $i -lt 60 -and -not (kubectl --kubeconfig $env:SMCDR_TEST_KUBECONFIG --namespace $namespace get serviceaccount default --ignore-not-found); $i++) {
                Start-Sleep -Seconds 1
            }

            $null = @"
apiVersion: v1
kind: ConfigMap
metadata: { name: site }
data:
  passphrase: not so secret but long enough
  smcdr.yaml: |
    name: image
    repository: { location: "file:///tmp/repository", encryptionKey: "file:/etc/smcdr/passphrase" }
    regions: { here: { role: primary } }
    fileStores: [ { name: zones, path: /usr/share/zoneinfo } ]
---
apiVersion: v1
kind: Pod
metadata: { name: smcdr }
spec:
  restartPolicy: Never
  securityContext: { runAsNonRoot: true }
  containers:
    - name: smcdr
      image: smcdr:$version
      imagePullPolicy: Never
      args: [ --site, /etc/smcdr/smcdr.yaml, backup, filestore, --json ]
      securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: [ ALL ] } }
      volumeMounts: [ { name: site, mountPath: /etc/smcdr }, { name: tmp, mountPath: /tmp } ]
  volumes: [ { name: site, configMap: { name: site, defaultMode: 0444 } }, { name: tmp, emptyDir: {} } ]
"@ | Invoke-Kubectl apply -f -
            for ($i = 0; $i -lt 180; $i++) {
                $phase = Invoke-Kubectl get pod smcdr -o 'jsonpath={.status.phase}'
                if ($phase -in 'Succeeded', 'Failed') {
                    break
                }

                Start-Sleep -Seconds 1
            }

            $log = Invoke-Kubectl logs smcdr | Out-String
            $phase | Should -Be 'Succeeded' -Because $log
            $log | Should -Match '"state":\s*"Complete"'
        } finally {
            $null = Invoke-Kubectl delete namespace $namespace --wait=false
        }
    }
}
