#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# Commands that run as Jobs in a real cluster, by the image that './build.ps1 -Task Image' has made. The blocks below follow each other.

BeforeDiscovery {
    $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
    $version = (Import-PowerShellDataFile -LiteralPath (Join-Path $root 'SmcDr.psd1')).ModuleVersion
    $isThere = Test-Path -LiteralPath ([System.IO.Path]::Combine($root, 'out', "smcdr-$version-oci.tar"))
    $skip = -not ($isThere -and $env:SMCDR_TEST_IMAGE_LOADER -and $env:SMCDR_TEST_KUBECONFIG -and (Get-Command kubectl -ErrorAction Ignore))
    if ($skip) {
        Write-Warning 'Commands are not run as Jobs: there is no image, SMCDR_TEST_IMAGE_LOADER names no command that loads it, SMCDR_TEST_KUBECONFIG no cluster, or there is no kubectl.'
    }
}

Describe 'Commands as Jobs' -Skip:$skip {
    BeforeAll {
        Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
        Import-Module (Get-SmcModulePath) -Global

        $root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
        $version = (Import-PowerShellDataFile -LiteralPath (Join-Path $root 'SmcDr.psd1')).ModuleVersion
        $words = @(-split $env:SMCDR_TEST_IMAGE_LOADER)
        $arguments = @($words | Select-Object -Skip 1) + [System.IO.Path]::Combine($root, 'out', "smcdr-$version-oci.tar")
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
        $null = @'
apiVersion: v1
kind: Secret
metadata: { name: store }
stringData: { password: not-so-secret }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: store }
spec: { accessModes: [ ReadWriteOnce ], resources: { requests: { storage: 1Gi } } }
---
apiVersion: v1
kind: Service
metadata: { name: redis }
spec: { selector: { app: redis }, ports: [ { port: 6379 } ] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: redis }
spec:
  selector: { matchLabels: { app: redis } }
  template:
    metadata: { labels: { app: redis } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [ { name: redis, image: "redis:7", imagePullPolicy: IfNotPresent, args: [ --requirepass, not-so-secret ], ports: [ { containerPort: 6379 } ], readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 } } ]
'@ | Invoke-Kubectl apply -f -

        $directory = [System.IO.Directory]::CreateTempSubdirectory('smcdr-test-').FullName
        foreach ($name in 'one', 'two') {
            Set-Content -LiteralPath (Join-Path $directory "$name.yaml") -Value @"
name: pester-$name
repository: { location: "file:///backups/$name" }
regions:
  east:
    role: primary
    kubernetes:
      kubeconfig: "$env:SMCDR_TEST_KUBECONFIG"
      namespace: $namespace
      job: { image: "smcdr:$version", mounts: [ { claim: store, path: /backups } ], cpu: 100m }
    redis: { endpoint: "redis:6379", password: "k8s:$namespace/store/password", workload: deployment/redis }
"@
        }

        Set-SmcSite (Join-Path $directory 'one.yaml')
        $null = Invoke-Kubectl rollout status deployment/redis --timeout=180s
    }

    AfterAll {
        if ($namespace) {
            $null = Invoke-Kubectl delete namespace $namespace --wait=false
            Remove-Item -LiteralPath $directory -Recurse -Force
        }
    }

    It 'says what it would run with -WhatIf, and makes nothing' {
        $text = Get-HostText { Backup-SmcRedis -AsKubernetesJob -WhatIf }
        $text | Should -BeLike "*smcdr backup redis of pester-one*smcdr:$version*Kubernetes Job 'smcdr-backup-redis-pester-one-*"
        Invoke-Kubectl get jobs -o name | Should -BeNullOrEmpty
    }

    It 'backs up sites from the pipeline at once, and writes what each came to' {
        $backups = Get-ChildItem -Path $directory -Filter *.yaml | Backup-SmcRedis -AsKubernetesJob -Label 'from the cluster'
        $backups | Should -BeOfType [SmcDr.BackupInfo]
        $backups.Repository | Sort-Object | Should -Be 'file:///backups/one', 'file:///backups/two'
        $backups.State | Should -Be 'Complete', 'Complete'
        $backups.Label | Select-Object -Unique | Should -Be 'from the cluster'
        @(Invoke-Kubectl get jobs -o name).Count | Should -Be 2
    }

    It 'verifies in the cluster what is there' {
        $results = Test-SmcBackup -AsKubernetesJob -Deep
        $results | Should -BeOfType [SmcDr.BackupTestResult]
        $results.Outcome | Should -Be 'Passed'
        Test-SmcBackup -AsKubernetesJob -NewerThan 1h -Quiet | Should -BeFalse -Because 'the site has a configuration that was never backed up'
    }

    It 'fails as the command does that failed in the pod' {
        $failure = Assert-SmcError SmcBackupNotFound { Test-SmcBackup 20200101T000000Z-none -AsKubernetesJob }
        $failure.CategoryInfo.Category | Should -Be ObjectNotFound
    }

    It 'refuses what the pod would not have, before anything is made' {
        $path = Join-Path $directory 'three.txt'
        (Get-Content -LiteralPath (Join-Path $directory 'one.yaml') -Raw).Replace('path: /backups', 'path: /elsewhere') | Set-Content -LiteralPath $path
        $failure = Assert-SmcError SmcSiteInvalid { Backup-SmcRedis -Site $path -AsKubernetesJob }
        $failure.ErrorDetails.RecommendedAction | Should -BeLike '*claim: NAME*'
        $null = Assert-SmcError SmcArgumentInvalid { Backup-SmcRedis -CancelOnStop }
    }
}
