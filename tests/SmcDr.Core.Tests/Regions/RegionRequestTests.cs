using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Amazon.S3.Model;
using SmcDr.Core.Tests.Dns;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.Regions.RegionFailoverTests;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Failovers whose requests to the repository and to Route 53 are repeated, delayed, or made by two hosts at once, with moto for both.</summary>
[Collection(MotoTests.Name)]
public sealed class RegionRequestTests(MotoServer moto)
{
    [MotoFact]
    public async Task Failover_EachRequestThatChangesSomethingArrivesTwice_IsDoneOnce()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "CNAME", "east.example.test", 60));
        await using ZoneServer dns = await ZoneServer.StartAsync(moto, zone);
        ConcurrentQueue<string> twice = [];
        await using FaultProxy proxy = new(moto.Port, request =>
        {
            if (request.Method is "GET" or "HEAD")
            {
                return null;
            }

            twice.Enqueue($"{request.Method} {request.Target}");
            return new Fault { Twice = true };
        });
        (RegionLab lab, string bucket) = await StartAsync(
            proxy,
            $"dns: {{ hostedZoneId: {zone}, record: api.example.test, endpoint: \"http://127.0.0.1:{proxy.Port.ToString(CultureInfo.InvariantCulture)}\", " +
                $"nameServers: [ \"{dns.Endpoint}\" ] }}");
        await using RegionLab own = lab;
        LoadOfWrites load = new(lab.Primary);
        await load.UntilAsync(100);
        await lab.Primary.KillAsync();
        await load.EndAsync();

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

        Assert.Equal("Succeeded", StateOf(steps, "fence-region"));
        Assert.Equal("Succeeded", StateOf(steps, "switch-dns"));
        Assert.Equal([("api.example.test", "west.example.test")], await moto.ReadAliasesAsync(zone));
        Assert.Single(await ListAsync(bucket, "regions/fencing/"));
        Assert.Equal(1L, (await lab.LookAsync("west")).GetProperty("epoch").GetInt64());
        Assert.Equal(2, await lab.AskWestAsync<int>("SELECT timeline_id FROM pg_control_checkpoint()"));
        JsonElement plan = Assert.Single((await lab.SucceedAsync("plan", "list")).EnumerateArray());
        Assert.Equal("Succeeded", plan.GetProperty("state").GetString());
        HashSet<long> west = await RegionLab.ReadIdsAsync(lab.WestConnection);
        int lost = load.Acknowledged.Count(id => !west.Contains(id));
        Assert.InRange(LostOf(DetailOf(steps, "report-failover")), lost, lost + 3);
        foreach (string what in new[] { "/fencing/", "/journal/", "/leases/", "/wal/", "/rrset" })
        {
            Assert.Contains(twice, request => request.Contains(what, StringComparison.Ordinal));
        }

        // What takes the change of the record back is of the change, and not of its repetition.
        string undo = Path.Combine(lab.Root, "undo.json");
        await File.WriteAllTextAsync(undo, Step(steps, "report-failover").GetProperty("failover").GetProperty("dnsUndo").GetString());
        await lab.SucceedAsync("dns", "undo", undo, "--yes");
        Assert.Equal([("api.example.test", "east.example.test")], await moto.ReadAliasesAsync(zone));
    }

    [MotoFact]
    public async Task Failover_TwoHostsAtTheSameMoment_OneLeadsTheSiteOverAndTheOtherIsTold()
    {
        // Both have decided, and neither has begun, when the first signs of both come to the repository.
        TaskCompletionSource both = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int claims = 0;
        await using FaultProxy proxy = new(moto.Port, request =>
        {
            if (request.Method != "PUT" || !request.Target.Contains("/leases/", StringComparison.Ordinal) || both.Task.IsCompleted)
            {
                return null;
            }

            if (Interlocked.Increment(ref claims) == 2)
            {
                both.SetResult();
            }

            return new Fault { Until = both.Task };
        });
        (RegionLab lab, string bucket) = await StartAsync(proxy);
        await using RegionLab own = lab;
        await lab.Primary.KillAsync();

        SmcdrProcess[] hosts = [lab.Start("region", "failover", "--yes", "--json"), lab.Start("region", "failover", "--yes", "--json")];
        (int ExitCode, string Output, string Error)[] ends = await Task.WhenAll(hosts.Select(static host => host.EndAsync()));

        Assert.Equal(2, claims);
        (int ExitCode, string Output, string Error) winner = Assert.Single(ends, static end => end.ExitCode == 0);
        (int ExitCode, string Output, string Error) loser = Assert.Single(ends, static end => end.ExitCode != 0);
        Assert.Equal("Succeeded", StateOf(JsonDocument.Parse(winner.Output).RootElement, "promote-database"));
        Assert.Equal(SmcErrors.Get(SmcErrorCode.OperationInProgress).ExitCode, loser.ExitCode);
        Assert.Contains("Start-SmcRegionFailover", loser.Error, StringComparison.Ordinal);
        await EnsureLedOnceAsync(lab, bucket);
        Assert.Equal("AlreadyDone", StateOf(await lab.SucceedAsync("region", "failover", "--yes"), "leads-already"));
    }

    [MotoTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Failover_FirstHostIsTakenOverFromWhileItsFenceIsOnTheWay_TheEpochIsBegunOnce(bool isLateOneFirst)
    {
        TaskCompletionSource[] arrived = [New(), New()];
        TaskCompletionSource[] passed = [New(), New()];
        int fences = 0;
        await using FaultProxy proxy = new(moto.Port, request =>
        {
            if (request.Method != "PUT" || !request.Target.Contains("/fencing/", StringComparison.Ordinal))
            {
                return null;
            }

            int number = Interlocked.Increment(ref fences);
            if (number > 2)
            {
                return null;
            }

            arrived[number - 1].SetResult();
            return new Fault { Until = passed[number - 1].Task };
        });
        (RegionLab lab, string bucket) = await StartAsync(proxy);
        await using RegionLab own = lab;
        await lab.Primary.KillAsync();
        Task<(int ExitCode, string Output, string Error)> first = lab.Start("region", "failover", "--yes").EndAsync();
        await arrived[0].Task;

        // Somebody elsewhere takes the first for dead, and goes on with its plan.
        Task<(int ExitCode, string Output, string Error)> second = lab.Start("region", "failover", "--break-lease", "--yes", "--json").EndAsync();
        await Task.WhenAny(arrived[1].Task, second);
        if (isLateOneFirst)
        {
            passed[0].SetResult();
            await RegionLab.UntilAsync(async () => (await ListAsync(bucket, "regions/fencing/")).Count == 1, "the late request has begun the epoch");
        }

        passed[1].SetResult();
        (int exitCode, string output, string error) = await second;
        Assert.True(exitCode == 0, error);
        S3Object epoch = Assert.Single(await ListAsync(bucket, "regions/fencing/"));
        passed[0].TrySetResult();
        (exitCode, string _, error) = await first;

        Assert.True(exitCode == SmcErrors.Get(SmcErrorCode.LeaseLost).ExitCode, $"{exitCode}: {error}");
        Assert.Equal("Succeeded", StateOf(JsonDocument.Parse(output).RootElement, "promote-database"));
        await EnsureLedOnceAsync(lab, bucket);
        Assert.Equal(epoch.ETag, Assert.Single(await ListAsync(bucket, "regions/fencing/")).ETag);
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A lab with a standby, whose repository is in a bucket behind a proxy.</summary>
    private async Task<(RegionLab Lab, string Bucket)> StartAsync(FaultProxy proxy, string extra = "")
    {
        string bucket = await moto.CreateBucketAsync();
        RegionLab lab = await RegionLab.StartAsync();
        try
        {
            lab.Repository = string.Create(
                CultureInfo.InvariantCulture, $"s3://{bucket}/regions?region=us-east-1&pathStyle=true&endpoint=http://127.0.0.1:{proxy.Port}");
            await lab.WriteSiteAsync("east", extra);
            await lab.SucceedAsync("backup", "database");
            lab.StartStream();
            await lab.SucceedAsync(lab.InitArguments());
            await lab.UntilWestHasAsync(2000);
            return (lab, bucket);
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    private async Task<List<S3Object>> ListAsync(string bucket, string prefix) =>
        (await moto.Client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = bucket, Prefix = prefix })).S3Objects ?? [];

    /// <summary>There was one failover: one epoch, one plan, one new timeline, and the site takes writes.</summary>
    private async Task EnsureLedOnceAsync(RegionLab lab, string bucket)
    {
        Assert.Single(await ListAsync(bucket, "regions/fencing/"));
        Assert.Equal(2, await lab.AskWestAsync<int>("SELECT timeline_id FROM pg_control_checkpoint()"));
        Assert.True(await lab.AskWestAsync<long>("INSERT INTO t (v) VALUES ('in the new region') RETURNING id") > 0);
        JsonElement plan = Assert.Single((await lab.SucceedAsync("plan", "list")).EnumerateArray());
        Assert.Equal("Succeeded", plan.GetProperty("state").GetString());
        JsonElement west = await lab.LookAsync("west");
        Assert.Equal(("Leads", 1L), (west.GetProperty("fencing").GetString(), west.GetProperty("epoch").GetInt64()));
    }
}
