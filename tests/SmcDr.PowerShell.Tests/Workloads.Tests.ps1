#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# Two deployments of a real cluster are stopped and started: the blocks below follow each other.

BeforeDiscovery {
    $kubeconfig = $env:SMCDR_TEST_KUBECONFIG
    $skip = -not ($kubeconfig -and (Test-Path -LiteralPath $kubeconfig) -and (Get-Command kubectl -ErrorAction Ignore))
    if ($skip) {
        Write-Warning 'There is no Kubernetes cluster to test with: SMCDR_TEST_KUBECONFIG names no kubeconfig, or there is no kubectl.'
    }
}

Describe 'Workloads' -Skip:$skip {
    BeforeAll {
        Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
        . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
        Import-Module (Get-SmcModulePath) -Global

        $namespace = "smcdr-pester-$([guid]::NewGuid().ToString('N').Substring(0, 8))"
        function Invoke-Kubectl {
            $output = $input | kubectl --kubeconfig $env:SMCDR_TEST_KUBECONFIG @args 2>&1
            if ($LASTEXITCODE -ne 0) {
                throw "kubectl $args failed: $output"
            }

            $output
        }

        $null = Invoke-Kubectl create namespace $namespace
        foreach ($name in 'trading-engine', 'api-gateway') {
            $null = @"
apiVersion: apps/v1
kind: Deployment
metadata: { name: $name, namespace: $namespace }
spec:
  replicas: $($name -eq 'api-gateway' ? 2 : 1)
  selector: { matchLabels: { app: $name } }
  template:
    metadata: { labels: { app: $name } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [ { name: main, image: "busybox:1.35", imagePullPolicy: IfNotPresent, command: [ sleep, "100000" ] } ]
"@ | Invoke-Kubectl apply -f -
        }

        $site = Join-Path ([System.IO.Path]::GetTempPath()) "$namespace.yaml"
        Set-Content -LiteralPath $site -Value @"
name: pester-workloads
repository: { location: "file://$([System.IO.Path]::GetTempPath())/none" }
regions:
  east:
    role: primary
    kubernetes: { kubeconfig: "$env:SMCDR_TEST_KUBECONFIG", namespace: $namespace }
writers: [ deployment/trading-engine, deployment/api-gateway, deployment/not-there ]
"@
        Set-SmcSite $site
        $null = Invoke-Kubectl -n $namespace rollout status deployment/api-gateway --timeout=180s
        $null = Invoke-Kubectl -n $namespace rollout status deployment/trading-engine --timeout=180s
    }

    AfterAll {
        if ($namespace) {
            $null = Invoke-Kubectl delete namespace $namespace --wait=false
            Remove-Item -LiteralPath $site
        }
    }

    It 'gets the writers in their order, and an error for one that is not there' {
        $workloads = Get-SmcWorkload -ErrorVariable failures -ErrorAction SilentlyContinue
        $workloads | Should -BeOfType [SmcDr.WorkloadInfo]
        $workloads.Name | Should -Be 'deployment/trading-engine', 'deployment/api-gateway'
        $workloads.State | Should -Be 'Running', 'Running'
        $failures.FullyQualifiedErrorId | Should -BeLike 'SmcResourceNotFound,*'
        ($workloads | Format-Table | Out-String -Width 120) | Should -Match 'deployment/api-gateway\s+Running\s+2\s+2\s+2'
    }

    It 'says what it would do with -WhatIf, and does nothing' {
        $text = Get-HostText { Suspend-SmcWorkload api-gateway -WhatIf }
        $text | Should -BeLike "*Scale from 2 to 0, and wait until its pods are gone*deployment/api-gateway in the namespace $namespace*"
        ('api-gateway' | Get-SmcWorkload).State | Should -Be 'Running'
    }

    It 'stops what comes through the pipeline, and starts it as it was' {
        $stopped = Get-SmcWorkload '*gate*' | Suspend-SmcWorkload -Confirm:$false
        $stopped.State | Should -Be 'Suspended'
        $stopped.RememberedReplicas | Should -Be 2
        $stopped.SuspendedBy | Should -Be 'operator'
        Invoke-Kubectl -n $namespace get pods -l app=api-gateway -o name | Should -BeNullOrEmpty
        (Suspend-SmcWorkload api-gateway -Confirm:$false).RememberedReplicas | Should -Be 2
        (Get-SmcWorkload trading-engine).State | Should -Be 'Running'
        $started = Get-SmcWorkload '*gate*' | Resume-SmcWorkload -Wait -Timeout 3m
        $started.State | Should -Be 'Running'
        $started.Replicas | Should -Be 2
    }

    It 'refuses a name that is no writer, and names those that are' {
        $failure = Assert-SmcError SmcArgumentInvalid { Get-SmcWorkload deployment/other }
        $failure.ErrorDetails.RecommendedAction | Should -BeLike '*deployment/trading-engine*'
    }

    It 'does nothing where the pipeline brings nothing' {
        @() | Suspend-SmcWorkload -Confirm:$false -WarningVariable warnings -WarningAction SilentlyContinue | Should -BeNullOrEmpty
        $warnings | Should -BeLike '*nothing is done*'
    }
}
