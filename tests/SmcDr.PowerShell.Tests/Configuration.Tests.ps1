#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# The configuration of one namespace of a real cluster is backed up, drifts, is deleted and comes back: the blocks below follow each other.

BeforeDiscovery {
    $kubeconfig = $env:SMCDR_TEST_KUBECONFIG
    $skip = -not ($kubeconfig -and (Test-Path -LiteralPath $kubeconfig) -and (Get-Command kubectl -ErrorAction Ignore))
    if ($skip) {
        Write-Warning 'There is no Kubernetes cluster to test with: SMCDR_TEST_KUBECONFIG names no kubeconfig, or there is no kubectl.'
    }
}

Describe 'Configuration' -Skip:$skip {
    BeforeAll {
        Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
        Import-Module (Get-SmcModulePath) -Global

        $namespace = "smcdr-pester-$([guid]::NewGuid().ToString('N').Substring(0, 8))"
        $copy = "$namespace-copy"
        function Invoke-Kubectl {
            $output = $input | kubectl --kubeconfig $env:SMCDR_TEST_KUBECONFIG @args 2>&1
            if ($LASTEXITCODE -ne 0) {
                throw "kubectl $args failed: $output"
            }

            $output
        }

        $null = Invoke-Kubectl create namespace $namespace
        $null = @"
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: $namespace, labels: { app: engine } }
data: { mode: fast, limit: "10" }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: routes, namespace: $namespace }
data: { default: east }
---
apiVersion: v1
kind: Secret
metadata: { name: password, namespace: $namespace, labels: { app: engine } }
stringData: { password: hunter2 }
---
apiVersion: v1
kind: Service
metadata: { name: engine, namespace: $namespace }
spec: { selector: { app: engine }, ports: [ { name: http, port: 80 } ] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader, namespace: $namespace }
rules: [ { apiGroups: [ "" ], resources: [ pods ], verbs: [ get ] } ]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader, namespace: $namespace }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects: [ { kind: ServiceAccount, name: default, namespace: $namespace } ]
"@ | Invoke-Kubectl apply -f -

        # What the cluster itself puts into a namespace comes a moment later.
        Wait-Until 'the namespace has its account' { kubectl --kubeconfig $env:SMCDR_TEST_KUBECONFIG -n $namespace get serviceaccount default -o name 2>$null }

        $root = (New-Item -ItemType Directory -Path (Join-Path ([System.IO.Path]::GetTempPath()) $namespace)).FullName
        $keyFile = Join-Path $root 'repository.key'
        $null = New-SmcRepositoryKey $keyFile
        $files = (New-Item -ItemType Directory -Path (Join-Path $root 'etc')).FullName
        Set-Content -LiteralPath (Join-Path $files 'engine.conf') -Value 'mode = fast'
        function Save-ClusterSite([string] $Name, [string] $Key) {
            $path = Join-Path $root "$Name.yaml"
            Set-Content -LiteralPath $path -Value @"
name: $Name
repository:
  location: "file://$root/$Name"
$($Key ? "  encryptionKey: `"file:$Key`"" : '')
regions:
  east:
    role: primary
    kubernetes: { kubeconfig: "$env:SMCDR_TEST_KUBECONFIG", namespace: $namespace }
fileStores: [ { name: etc, path: "$files", withConfiguration: true } ]
"@
            $path
        }

        Set-SmcSite (Save-ClusterSite encrypted $keyFile)
        $plain = Save-ClusterSite plain
    }

    AfterAll {
        if ($namespace) {
            $null = Invoke-Kubectl delete namespace $namespace $copy --ignore-not-found --wait=false
            Remove-Item -LiteralPath $root -Recurse
        }
    }

    It 'is not backed up with -WhatIf' {
        $text = Get-HostText { Backup-SmcConfiguration -WhatIf }
        $text | Should -BeLike "*Configuration of the namespace '$namespace' in the cluster*"
        $text | Should -BeLike "*File store 'etc'*"
        Join-Path $root 'encrypted' | Should -Not -Exist
    }

    It 'is not backed up with its Secrets into a repository that is not encrypted, only without them' {
        $failure = Assert-SmcError SmcSecretsUnprotected { Backup-SmcConfiguration -Site $plain }
        $failure.ErrorDetails.RecommendedAction | Should -BeLike '*-SkipSecret*'
        Get-SmcBackup -Site $plain -Component Configuration | Should -BeNullOrEmpty
        $backup = Backup-SmcConfiguration -Site $plain -SkipSecret -Label bare | Where-Object Component -EQ Configuration
        $backup.State | Should -Be 'Complete'
        $backup.Encrypted | Should -BeFalse
        $plan = Restore-SmcConfiguration -Site $plain -WhatIf
        $plan.Kind | Should -Contain 'ConfigMap'
        $plan.Kind | Should -Not -Contain 'Secret'
    }

    It 'is backed up, and the file stores that belong to it behind it' {
        $backups = Get-SmcSite encrypted | Backup-SmcConfiguration -Label 'before'
        $backups | Should -BeOfType [SmcDr.BackupInfo]
        $backups.Component | Should -Be 'Configuration', 'FileStore'
        $backups[0].State | Should -Be 'Complete'
        $backups[0].Namespaces | Should -Be $namespace
        $backups[0].Label | Should -Be 'before'
        $backups[0].Encrypted | Should -BeTrue
        $backups[1].Name | Should -Be 'etc'
        Compare-SmcConfiguration | Should -BeNullOrEmpty
        Get-SmcBackup -Component Configuration | Compare-SmcConfiguration | Should -BeNullOrEmpty
    }

    It 'is the same: nothing is to be done' {
        $results = Get-SmcBackup -Component Configuration | Restore-SmcConfiguration -Confirm:$false
        $results | Should -BeOfType [SmcDr.ConfigurationRestoreResult]
        $results.Count | Should -BeGreaterThan 6
        $results.Action | Select-Object -Unique | Should -Be 'Same'
        $results.State | Select-Object -Unique | Should -Be 'Done'
    }

    It 'has drifted: what was changed, removed and added is told' {
        $null = Invoke-Kubectl -n $namespace patch configmap settings -p '{"data":{"mode":"slow"}}'
        $null = Invoke-Kubectl -n $namespace patch secret password -p '{"data":{"password":"b3RoZXI="}}'
        $null = Invoke-Kubectl -n $namespace delete configmap routes
        $null = Invoke-Kubectl -n $namespace create configmap stray

        $differences = Compare-SmcConfiguration | Sort-Object -Property Kind, Name
        $differences | Should -BeOfType [SmcDr.ConfigurationDifference]
        $differences | ForEach-Object { "$($_.Difference) $($_.Kind)/$($_.Name)" } |
            Should -Be 'Removed ConfigMap/routes', 'Changed ConfigMap/settings', 'Added ConfigMap/stray', 'Changed Secret/password'
        "$($differences[1].Changes)" | Should -Be ('data.mode: fast {0} slow' -f [char]0x2192)
        "$($differences[3].Changes)" | Should -Be ('data.password: (hidden) {0} (hidden)' -f [char]0x2192)
        ($differences | Format-Table | Out-String -Width 120) | Should -Match "Changed +ConfigMap +$namespace/settings"
        Compare-SmcConfiguration -Kind secrets | ForEach-Object Name | Should -Be 'password'
        Compare-SmcConfiguration -LabelSelector app=engine -ExcludeKind secrets | ForEach-Object Name | Should -Be 'settings'
    }

    It 'shows with -WhatIf what would change in each object, and changes nothing' {
        $text = Get-HostText { Restore-SmcConfiguration -WhatIf }
        $text | Should -BeLike "*Restore the * objects of the backup*'$namespace' to the cluster*"
        $plan = Restore-SmcConfiguration -WhatIf
        $plan.State | Select-Object -Unique | Should -Be 'Planned'
        $changes = $plan | Where-Object Action -NE Same | Sort-Object -Property Kind, Name
        $changes | ForEach-Object { "$($_.Action) $($_.Kind)/$($_.Name)" } | Should -Be 'Create ConfigMap/routes', 'Change ConfigMap/settings', 'Change Secret/password'
        "$($changes[1].Changes)" | Should -Be ('data.mode: slow {0} fast' -f [char]0x2192)
        ($plan | Format-List | Out-String) | Should -Not -BeLike '*hunter2*'
        Invoke-Kubectl -n $namespace get configmap settings -o 'jsonpath={.data.mode}' | Should -Be 'slow'
        kubectl --kubeconfig $env:SMCDR_TEST_KUBECONFIG -n $namespace get configmap routes --ignore-not-found | Should -BeNullOrEmpty
    }

    It 'is put back for the objects alone that come through the pipeline' {
        $results = Compare-SmcConfiguration | Where-Object Kind -EQ ConfigMap |
            Restore-SmcConfiguration -Confirm:$false -WarningVariable warnings -WarningAction SilentlyContinue
        $results | ForEach-Object { "$($_.Action) $($_.State) $($_.Name)" } | Sort-Object | Should -Be 'Change Done settings', 'Create Done routes'
        "$warnings" | Should -BeLike '1 of the objects*'
        Invoke-Kubectl -n $namespace get configmap settings -o 'jsonpath={.data.mode}' | Should -Be 'fast'
        Compare-SmcConfiguration | Sort-Object -Property Kind | ForEach-Object Name | Should -Be 'stray', 'password'
    }

    It 'is restored by what was planned, piped on' {
        $results = Restore-SmcConfiguration -Name pass* -WhatIf | Restore-SmcConfiguration -Confirm:$false
        $results | ForEach-Object { "$($_.Action) $($_.Name)" } | Should -Be 'Change password'
        (Compare-SmcConfiguration).Name | Should -Be 'stray'
    }

    It 'says what needs -Force, and replaces it then' {
        $null = Invoke-Kubectl -n $namespace delete rolebinding reader
        $null = Invoke-Kubectl -n $namespace create rolebinding reader --clusterrole=view --serviceaccount="${namespace}:default"
        $result = Restore-SmcConfiguration -Kind rolebindings -Confirm:$false -ErrorVariable failures -ErrorAction SilentlyContinue
        $result.State | Should -Be 'NeedsReplace'
        $result.Recommendation | Should -BeLike '*-Force*'
        $failures.FullyQualifiedErrorId | Should -BeLike 'SmcConfigurationIncomplete,*'
        $failures.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
        $forced = Restore-SmcConfiguration -Kind rolebindings -Force -Confirm:$false
        "$($forced.Action) $($forced.State)" | Should -Be 'Replace Done'
        Invoke-Kubectl -n $namespace get rolebinding reader -o 'jsonpath={.roleRef.kind}' | Should -Be 'Role'
    }

    It 'is copied to another namespace' {
        $results = Restore-SmcConfiguration -NamespaceMapping @{ $namespace = $copy } -Confirm:$false
        $results | Where-Object State -NotIn Done, Skipped | Should -BeNullOrEmpty
        $results.Namespace | Select-Object -Unique | Where-Object { $_ } | Should -Be $copy
        Invoke-Kubectl -n $copy get rolebinding reader -o 'jsonpath={.subjects[0].namespace}' | Should -Be $copy
        Compare-SmcConfiguration -TargetNamespace $copy | Should -BeNullOrEmpty
        Assert-SmcError SmcArgumentInvalid { Restore-SmcConfiguration -TargetNamespace $copy -NamespaceMapping @{ $namespace = $copy } -WhatIf }
        Assert-SmcError SmcArgumentInvalid { Compare-SmcConfiguration -NamespaceMapping @{ $namespace = '' } }
    }

    It 'is back as it was after the namespace was deleted, and a second restore changes nothing' {
        $null = Invoke-Kubectl delete namespace $namespace --wait
        $first = Get-SmcBackup -Component Configuration | Select-Object -Last 1 | Restore-SmcConfiguration -Confirm:$false
        $first | Where-Object State -NE Done | Should -BeNullOrEmpty
        $first.Action | Should -Contain 'Create'
        Invoke-Kubectl -n $namespace get secret password -o 'jsonpath={.data.password}' | Should -Be 'aHVudGVyMg=='
        $second = Restore-SmcConfiguration -Confirm:$false
        $second.Count | Should -Be $first.Count
        $second.Action | Select-Object -Unique | Should -Be 'Same'
        Compare-SmcConfiguration | Should -BeNullOrEmpty
    }

    It 'does nothing where the pipeline brings nothing or too much' {
        @() | Restore-SmcConfiguration -WarningVariable warnings -WarningAction SilentlyContinue | Should -BeNullOrEmpty
        $warnings | Should -BeLike '*nothing is restored*'
        $null = Backup-SmcConfiguration
        Assert-SmcError SmcArgumentInvalid { Get-SmcBackup -Component Configuration | Restore-SmcConfiguration -WhatIf }
        Assert-SmcError SmcBackupNotFound { Get-SmcBackup -Component FileStore | Select-Object -First 1 | Restore-SmcConfiguration -WhatIf }
    }
}
