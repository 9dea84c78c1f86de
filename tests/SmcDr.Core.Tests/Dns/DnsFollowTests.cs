using SmcDr.Core.Dns;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Dns;

/// <summary>What becomes of a change that Route 53 has taken, or may have taken: played by a scripted server.</summary>
public sealed class DnsFollowTests : IAsyncLifetime
{
    private static readonly DnsName s_name = DnsName.Parse("api.example.test");
    private static readonly DnsApplyOptions s_patient = new()
    {
        Timeout = TimeSpan.FromSeconds(30),
        PollDelay = TimeSpan.FromMilliseconds(2),
        MaximumPollDelay = TimeSpan.FromMilliseconds(20),
        AskServers = false,
    };

    private readonly ScriptedRoute53 _route53 = new()
    {
        RecordSets = ScriptedRoute53.Simple("api.example.test.", "A", "192.0.2.1", 300),
        RecordSetsAfterChange = ScriptedRoute53.Simple("api.example.test.", "A", "192.0.2.2"),
    };

    private readonly RecordingObserver _observer = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _route53.DisposeAsync().AsTask();

    [Fact]
    public async Task Apply_PendingChange_IsAskedAboutUntilItIsInSync_Route53Trap1()
    {
        _route53.PendingCount = 5;

        DnsChangeResult result = await ApplyAsync(s_patient);

        Assert.Equal((DnsStates.InSync, "C0CHANGE", 300), (result.State, result.ChangeId, result.OldAnswerSeconds));
        Assert.Equal(result.InSyncTime!.Value.AddSeconds(300), result.OldAnswerUntil);
        Assert.Equal(6, _route53.Requests.Count(static request => request == "GET /2013-04-01/change/C0CHANGE"));
        Assert.Single(_route53.Changes);
    }

    [Fact]
    public async Task Apply_NoWait_EndsWithTheChange()
    {
        DnsApplyOptions options = s_patient with { Wait = false };

        DnsChangeResult result = await ApplyAsync(options);

        Assert.Equal(DnsStates.Pending, result.State);
        Assert.Null(options.FindFailure(result));
        Assert.DoesNotContain(_route53.Requests, static request => request.Contains("/change/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Apply_NeverInSync_IsPendingAndKeepsTheUndo()
    {
        _route53.PendingCount = int.MaxValue;
        DnsApplyOptions options = s_patient with { Timeout = TimeSpan.FromMilliseconds(100) };

        DnsChangeResult result = await ApplyAsync(options);

        Assert.Equal(DnsStates.Pending, result.State);
        Assert.Equal(SmcErrorCode.OperationTimedOut, options.FindFailure(result)!.Code);
        Assert.Null(result.OldAnswerUntil);
        Assert.Equal("192.0.2.1", Assert.Single(Assert.Single(DnsUndo.Parse(result.Undo!).Changes).Before!.Values));
    }

    [Fact]
    public async Task Apply_NotAllowedToAskAboutTheChange_GoesByTheServers()
    {
        await using DnsmasqServer server = await DnsmasqServer.StartAsync("--host-record=api.example.test,192.0.2.2");
        _route53.Fault = static context => context.Request.Url!.AbsolutePath.Contains("/change/", StringComparison.Ordinal)
            ? (403, ScriptedRoute53.Error("AccessDenied", "not authorized to perform: route53:GetChange"))
            : null;

        DnsChangeResult result = await ApplyAsync(s_patient with { AskServers = true }, server.Endpoint);

        Assert.Equal(DnsStates.Served, result.State);
        Assert.Contains("GetChange", Assert.Single(result.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Apply_StoppedAfterTheChange_TellsWhatTakesItBack()
    {
        using CancellationTokenSource stop = new();
        _route53.PendingCount = int.MaxValue;
        _route53.Fault = context =>
        {
            if (context.Request.Url!.AbsolutePath.Contains("/change/", StringComparison.Ordinal))
            {
                stop.Cancel();
            }

            return null;
        };

        using DnsRecords records = _route53.Records(observer: _observer);
        DnsChangePlan plan = await records.PlanAsync(Request(), default);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => records.ApplyAsync(plan, s_patient, stop.Token));

        string warning = Assert.Single(_observer.Warnings);
        Assert.NotNull(DnsUndo.Parse(warning[warning.IndexOf('{', StringComparison.Ordinal)..]));
        Assert.True(_observer.Progresses.Last().IsCompleted);
    }

    [Fact]
    public async Task Apply_AnswerGetsLost_IsSentAgain()
    {
        int posts = 0;
        _route53.Fault = context =>
        {
            if (context.Request.HttpMethod == "POST" && posts++ == 0)
            {
                context.Response.Abort();
                return (200, "");
            }

            return null;
        };

        DnsChangeResult result = await ApplyAsync(s_patient);

        Assert.Equal(DnsStates.InSync, result.State);
        Assert.Equal(2, _route53.Changes.Count);
    }

    /// <summary>The removal was made, its answer was lost, and Route 53 refuses to remove what is not there.</summary>
    [Fact]
    public async Task Undo_AnswerOfARemovalGetsLost_IsSeenToBeMade()
    {
        DnsUndo creation = new()
        {
            ZoneId = ScriptedRoute53.ZoneId,
            Time = DateTimeOffset.UnixEpoch,
            Changes = [new DnsRecordChange(null, new DnsRecordSet { Name = s_name, Type = "A", Ttl = 300, Values = ["192.0.2.1"] })],
        };
        int posts = 0;
        _route53.Fault = context =>
        {
            if (context.Request.HttpMethod != "POST")
            {
                return null;
            }

            _route53.RecordSets = "";
            if (posts++ == 0)
            {
                context.Response.Abort();
            }

            return (400, ScriptedRoute53.Error("InvalidChangeBatch", "[Tried to delete resource record set but it was not found]"));
        };
        using DnsRecords records = _route53.Records(observer: _observer);

        DnsChangeResult result = await records.ApplyAsync(await records.PlanUndoAsync(creation, false, default), s_patient, default);

        Assert.Equal(("none", true, (string?)null), (result.After, result.IsChanged, result.ChangeId));
        Assert.Contains("<Action>DELETE</Action>", _route53.Changes[0], StringComparison.Ordinal);
        Assert.Contains("<TTL>300</TTL>", _route53.Changes[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Apply_Refused_ChangesNothingAndSaysSo()
    {
        _route53.Fault = static context => context.Request.HttpMethod == "POST" ? (400, ScriptedRoute53.Error("InvalidChangeBatch", "Bad")) : null;

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => ApplyAsync(s_patient));

        Assert.Equal(SmcErrorCode.DnsRecordUnsuitable, error.Code);
        Assert.Contains("nothing was changed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Apply_Route53GoesAway_SaysThatItIsNotKnown()
    {
        bool isAway = false;
        _route53.Fault = context =>
        {
            isAway |= context.Request.HttpMethod == "POST";
            return isAway ? (503, "") : null;
        };
        using DnsRecords records = _route53.Records(options: _route53.Options with { RetryTime = TimeSpan.FromMilliseconds(100) });
        DnsChangePlan plan = await records.PlanAsync(Request(), default);

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => records.ApplyAsync(plan, s_patient, default));

        Assert.Equal(SmcErrorCode.DnsUnavailable, error.Code);
        Assert.Contains("is not known", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_NameAsRoute53WritesIt_IsTheSame_Route53Trap3()
    {
        _route53.RecordSets = ScriptedRoute53.Simple(@"\052.example.test.", "A", "192.0.2.1");
        using DnsRecords records = _route53.Records();

        DnsChangePlan plan = await records.PlanAsync(
            new DnsRecordRequest { Name = DnsName.Parse("*.example.test"), Values = ["192.0.2.1"] }, default);

        Assert.Empty(plan.Changes);
        Assert.Contains("nothing is changed", plan.Describe(), StringComparison.Ordinal);
        Assert.DoesNotContain(_route53.Requests, static request => request.StartsWith("POST", StringComparison.Ordinal));
    }

    private static DnsRecordRequest Request() => new() { Name = s_name, Values = ["192.0.2.2"], Ttl = 60 };

    private async Task<DnsChangeResult> ApplyAsync(DnsApplyOptions options, params string[] nameServers)
    {
        using DnsRecords records = _route53.Records(nameServers: nameServers, observer: _observer);
        return await records.ApplyAsync(await records.PlanAsync(Request(), default), options, default);
    }
}
