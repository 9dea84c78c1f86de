#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

# One record is made, shown, switched to another region and taken back: the blocks below follow each other.

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'Assertions.ps1'))
    . ([System.IO.Path]::Combine($PSScriptRoot, 'Support', 'DnsServers.ps1'))
    Import-Module (Get-SmcModulePath) -Global

    $dns = Open-TestDnsServer -Record '--cname=api.example.test,west.example.test,60'
    $site = Join-Path $dns.Root 'smcdr.yaml'
    Set-Content -LiteralPath $site -Value @"
name: pester-dns
repository: { location: "file://$($dns.Root)/repository" }
regions:
  east: { role: primary, endpoint: east.example.test }
  west: { role: standby, endpoint: west.example.test }
dns: { hostedZoneId: $($dns.ZoneId), record: api.example.test, endpoint: "$($dns.Endpoint)", nameServers: [ "$($dns.NameServer)" ] }
"@
    Set-SmcSite $site
}

AfterAll {
    if ($dns) {
        Close-TestDnsServer $dns
    }
}

Describe 'Before there is a record' {
    It 'says so, and what to do' {
        $refusal = Assert-SmcError SmcDnsRecordUnsuitable { Get-SmcDnsRecord }
        $refusal.Exception.Message | Should -BeLike '*api.example.test*'
    }

    It 'shows what would be made with -WhatIf, and makes nothing' {
        Get-HostText { Set-SmcDnsRecord -Region east -Ttl 300 -WhatIf } | Should -BeLike '*becomes east.example.test (TTL 300); there is none now*'
        Assert-SmcError SmcDnsRecordUnsuitable { Get-SmcDnsRecord }
    }

    It 'makes it' {
        $change = Set-SmcDnsRecord -Region east -Ttl 300 -SkipAuthoritative -Confirm:$false
        $change | Should -BeOfType [SmcDr.DnsChangeResult]
        $change.State | Should -Be 'InSync'
        $change.IsChanged | Should -BeTrue
        $change.Before | Should -Be 'none'
    }

    It 'checks it beforehand' {
        $checks = Test-SmcSite | Where-Object Name -Like 'Dns*'
        ($checks | Where-Object Name -EQ DnsTtl).Outcome | Should -Be 'Warning'
        ($checks | Where-Object Name -EQ DnsRecord).Outcome | Should -Be 'Passed'
        ($checks | Where-Object Name -EQ DnsServers).Outcome | Should -Be 'Failed'
    }
}

Describe 'Get-SmcDnsRecord' {
    It 'tells the region' {
        $record = Get-SmcDnsRecord
        $record.Region | Should -Be 'east'
        $record.TtlSeconds | Should -Be 300
        $record.State | Should -BeNullOrEmpty
    }

    It 'asks the zone''s servers with -Authoritative' {
        $record = Get-SmcDnsRecord -Authoritative
        $record.State | Should -Be 'NotServed'
        $record.Servers.Outcome | Should -Be 'Different'
        $record.Servers.Values | Should -Be 'west.example.test'
    }

    It 'takes names from the pipeline, and only records of a type' {
        ('api.example.test.', 'API.example.test' | Get-SmcDnsRecord -Type cname).Name | Should -Be 'api.example.test', 'api.example.test'
        Assert-SmcError SmcDnsRecordUnsuitable { Get-SmcDnsRecord -Type A }
        Assert-SmcError SmcArgumentInvalid { Get-SmcDnsRecord 'a..b' }
    }
}

Describe 'Set-SmcDnsRecord' {
    It 'shows old and new with -WhatIf, and changes nothing' {
        Get-HostText { Set-SmcDnsRecord west -WhatIf } | Should -BeLike '*changes from east.example.test (TTL 300) to west.example.test (TTL 60)*'
        (Get-SmcDnsRecord).Region | Should -Be 'east'
    }

    It 'leads clients to another region, and follows it to the zone''s servers' {
        $script:switch = Set-SmcDnsRecord west -Confirm:$false
        $switch.State | Should -Be 'Served'
        $switch.Region | Should -Be 'west'
        $switch.Servers.Outcome | Should -Be 'Current'
        $switch.OldAnswerSeconds | Should -Be 300
        $switch.OldAnswerUntil | Should -Be $switch.ServedTime.AddSeconds(300)
        ($switch | Format-List | Out-String) | Should -Match 'Undo\s+: \{'
    }

    It 'changes nothing the second time, and asks all the same' {
        $again = Set-SmcDnsRecord west
        $again.IsChanged | Should -BeFalse
        $again.State | Should -Be 'Served'
        $again.Undo | Should -BeNullOrEmpty
        $null = $again | Set-SmcDnsRecord -WarningVariable warnings -WarningAction SilentlyContinue
        "$warnings" | Should -BeLike '*nothing to take back*'
    }

    It 'is taken back from the pipeline, and tells by an error that the servers do not follow' {
        $undone = $switch | Set-SmcDnsRecord -Timeout 0s -Confirm:$false -ErrorVariable problems -ErrorAction SilentlyContinue
        $undone.After | Should -Be 'east.example.test (TTL 300)'
        $undone.State | Should -Be 'NotServed'
        $problems[0].FullyQualifiedErrorId | Should -BeLike 'SmcDnsNotServed,*'
        $problems[0].TargetObject.Undo | Should -Be $undone.Undo
        (Get-SmcDnsRecord).Region | Should -Be 'east'
    }

    It 'changes what comes through the pipeline, a record as well as an earlier change' {
        $given = Get-SmcDnsRecord | Set-SmcDnsRecord -Value other.example.test -NoWait -Confirm:$false
        $given.Name, $given.Type, $given.After | Should -Be 'api.example.test', 'CNAME', 'other.example.test (TTL 60)'
        ($given | Set-SmcDnsRecord -NoWait -Confirm:$false).After | Should -Be $given.Before
        (Get-SmcDnsRecord | Set-SmcDnsRecord -Region west -NoWait -Confirm:$false).Region | Should -Be 'west'
        (Get-SmcDnsRecord | Set-SmcDnsRecord -Region east -Ttl 300 -NoWait -Confirm:$false).Region | Should -Be 'east'
    }

    It 'takes the text of an undo, and refuses what is none' {
        (Set-SmcDnsRecord -Undo $switch.Undo -SkipAuthoritative).State | Should -Be 'Unchanged'
        Assert-SmcError SmcArgumentInvalid { Set-SmcDnsRecord -Undo '{}' }
    }

    It 'gives another name values' {
        $change = Set-SmcDnsRecord -Name www.example.test -Value 192.0.2.1, 192.0.2.2 -NoWait -Confirm:$false
        $change.State | Should -Be 'Pending'
        (Get-SmcDnsRecord www.example.test).Values | Should -Be '192.0.2.1', '192.0.2.2'
        Assert-SmcError SmcDnsRecordUnsuitable { Set-SmcDnsRecord -Name www.example.test -Value west.example.test -Confirm:$false }
        Assert-SmcError SmcArgumentInvalid { Set-SmcDnsRecord -Name www.example.test -Value 192.0.2.1, 192.0.2.1 -Confirm:$false }
    }

    It 'knows the site''s regions' {
        (Get-Completion 'Set-SmcDnsRecord -Region ').CompletionText | Should -Be 'east', 'west'
        Assert-SmcError SmcArgumentInvalid { Set-SmcDnsRecord north -Confirm:$false }
    }
}
