using System.Globalization;
using System.Net;
using System.Xml.Linq;
using SmcDr.Core.Dns;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Dns;

/// <summary>How Route 53 is spoken to, and what becomes of its failures.</summary>
public sealed class Route53ClientTests : IAsyncLifetime
{
    private static readonly DnsName s_name = DnsName.Parse("api.example.test");
    private readonly ScriptedRoute53 _route53 = new();
    private readonly RecordingObserver _observer = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _route53.DisposeAsync().AsTask();

    [Theory]
    [InlineData(400, "PriorRequestNotComplete")]
    [InlineData(400, "Throttling")]
    [InlineData(400, "ThrottlingException")]
    [InlineData(503, "ServiceUnavailable")]
    [InlineData(500, "InternalFailure")]
    [InlineData(429, "")]
    public async Task Request_ThatMayPass_IsSentAgain_Route53Trap3(int status, string code)
    {
        int failures = 0;
        _route53.Fault = _ => failures++ < 4 ? (status, code.Length == 0 ? "" : ScriptedRoute53.Error(code, "Rate exceeded")) : null;
        using Route53Client client = _route53.Client();

        DnsZone zone = await client.GetZoneAsync(ScriptedRoute53.ZoneId, default);

        Assert.Equal(("example.test.", false, "ns1.example.test."), (zone.Name.Text, zone.IsPrivate, Assert.Single(zone.NameServers).Text));
        Assert.Equal(5, _route53.Requests.Length);
    }

    [Theory]
    [InlineData(400, "PriorRequestNotComplete")]
    [InlineData(503, "ServiceUnavailable")]
    public async Task Request_ThatNeverPasses_EndsWithItsTime(int status, string code)
    {
        _route53.Fault = _ => (status, ScriptedRoute53.Error(code, "Not now"));
        using Route53Client client = _route53.Client(_route53.Options with { RetryTime = TimeSpan.FromMilliseconds(200) });

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => client.GetZoneAsync(ScriptedRoute53.ZoneId, default));

        Assert.Equal(SmcErrorCode.DnsUnavailable, error.Code);
        Assert.Contains(code, error.Message, StringComparison.Ordinal);
        Assert.True(_route53.Requests.Length > 1);
    }

    [Theory]
    [InlineData(403, "AccessDenied", "User: arn:aws:iam::1:user/x is not authorized", SmcErrorCode.DnsAccessDenied, "ChangeResourceRecordSets on arn:aws:route53:::hostedzone/Z0SCRIPTED")]
    [InlineData(403, "ExpiredToken", "The security token included in the request is expired", SmcErrorCode.DnsAccessDenied, "Sign in again")]
    [InlineData(403, "InvalidClientTokenId", "The security token included in the request is invalid.", SmcErrorCode.DnsAccessDenied, "AWS_PROFILE")]
    [InlineData(403, "SignatureDoesNotMatch", "The request signature we calculated does not match", SmcErrorCode.DnsAccessDenied, "AWS_PROFILE")]
    [InlineData(404, "NoSuchHostedZone", "No hosted zone found with ID: Z0SCRIPTED", SmcErrorCode.DnsRecordUnsuitable, "hostedZoneId")]
    [InlineData(400, "InvalidInput", "Bad value", SmcErrorCode.DnsRecordUnsuitable, "Get-SmcDnsRecord")]
    [InlineData(301, "MovedPermanently", "Elsewhere", SmcErrorCode.DnsUnavailable, "route53.amazonaws.com")]
    public async Task Request_ThatIsRefused_SaysWhatToDo(int status, string code, string message, SmcErrorCode expected, string advice)
    {
        _route53.Fault = _ => (status, ScriptedRoute53.Error(code, message));
        using Route53Client client = _route53.Client();

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => client.GetZoneAsync(ScriptedRoute53.ZoneId, default));

        Assert.Equal(expected, error.Code);
        Assert.Contains(advice, error.Recommendation, StringComparison.Ordinal);
        Assert.Single(_route53.Requests);
    }

    [Fact]
    public async Task Change_RefusedBatch_TellsEachError()
    {
        _route53.Fault = static context => context.Request.HttpMethod == "POST"
            ? (400, "<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages><Message>Tried to create resource record set [name='api.example.test.', type='CNAME'] but it already exists</Message><Message>Second.</Message></Messages></InvalidChangeBatch>")
            : null;
        using Route53Client client = _route53.Client();

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => client.ChangeAsync(ScriptedRoute53.ZoneId, [Change("192.0.2.1")], "test", default));

        Assert.Equal(SmcErrorCode.DnsRecordUnsuitable, error.Code);
        Assert.Contains("already exists Second.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_WithAWrongClock_UsesTheServersTimeOnce()
    {
        DateTimeOffset server = DateTimeOffset.UtcNow.AddHours(3);
        string? date = null;
        int count = 0;
        _route53.Fault = context =>
        {
            context.Response.Headers["Date"] = server.ToString("R", CultureInfo.InvariantCulture);
            date = context.Request.Headers["X-Amz-Date"];
            return count++ == 0
                ? (403, ScriptedRoute53.Error("SignatureDoesNotMatch", "Signature expired: 20261105T070000Z is now earlier than 20261105T095500Z"))
                : null;
        };
        using Route53Client client = _route53.Client(observer: _observer);

        await client.GetZoneAsync(ScriptedRoute53.ZoneId, default);

        DateTimeOffset signed = DateTimeOffset.ParseExact(date!, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        Assert.InRange((signed - server).Duration(), TimeSpan.Zero, TimeSpan.FromMinutes(5));
        Assert.Contains("behind Route 53's", Assert.Single(_observer.Warnings), StringComparison.Ordinal);

        _route53.Fault = static _ => (403, ScriptedRoute53.Error("RequestTimeTooSkewed", "Too far"));
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => client.GetZoneAsync(ScriptedRoute53.ZoneId, default));
        Assert.Equal(SmcErrorCode.DnsAccessDenied, error.Code);
        Assert.Contains("timedatectl", error.Recommendation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<html><body>Sign in to the proxy")]
    [InlineData("{}")]
    [InlineData("<GetHostedZoneResponse><HostedZone><Id>/hostedzone/Z1</Id></HostedZone></GetHostedZoneResponse>")]
    [InlineData("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><GetHostedZoneResponse><HostedZone><Id>Z1</Id><Name>&e;</Name></HostedZone></GetHostedZoneResponse>")]
    public async Task Answer_ThatIsNotRoute53s_IsNotBelieved(string answer)
    {
        _route53.Fault = _ => (200, answer);
        using Route53Client client = _route53.Client();

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => client.GetZoneAsync(ScriptedRoute53.ZoneId, default));

        Assert.Equal(SmcErrorCode.DnsUnavailable, error.Code);
        Assert.Contains("is not Route 53's", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_LongerThanAPage_IsReadByNameTypeAndIdentifier_Route53Trap3()
    {
        static string Weighted(string identifier) =>
            $"<ResourceRecordSet><Name>\\052.example.test.</Name><Type>A</Type><SetIdentifier>{identifier}</SetIdentifier><Weight>0</Weight><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>";
        _route53.Fault = static context => context.Request.QueryString["identifier"] switch
        {
            null => (200, ScriptedRoute53.List(Weighted("a"), Next("b"))),
            "b" => (200, ScriptedRoute53.List(Weighted("b"), Next("c & <c>"))),
            _ => (200, ScriptedRoute53.List(
                "<ResourceRecordSet><Name>\\052.example.test.</Name><Type>A</Type><SetIdentifier>c &amp; &lt;c&gt;</SetIdentifier><Region>eu-central-1</Region><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.3</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>"
                + ScriptedRoute53.Simple("api.example.test.", "A", "192.0.2.9"),
                "<IsTruncated>true</IsTruncated><NextRecordName>z.example.test.</NextRecordName><NextRecordType>A</NextRecordType>")),
        };
        using Route53Client client = _route53.Client();

        IReadOnlyList<DnsRecordSet> sets = await client.ListRecordSetsAsync(ScriptedRoute53.ZoneId, DnsName.Parse("*.example.test"), default);

        Assert.Equal(["a", "b", "c & <c>"], sets.Select(static set => set.SetIdentifier));
        Assert.Equal(["Weighted", "Weighted", "Latency"], sets.Select(static set => set.Routing));
        Assert.Equal(0, sets[0].Weight);
        Assert.Equal(3, _route53.Requests.Length);
        Assert.Contains("identifier=c%20%26%20%3Cc%3E", _route53.Requests[2], StringComparison.Ordinal);

        static string Next(string identifier) =>
            $"<IsTruncated>true</IsTruncated><NextRecordName>\\052.example.test.</NextRecordName><NextRecordType>A</NextRecordType><NextRecordIdentifier>{WebUtility.HtmlEncode(identifier)}</NextRecordIdentifier>";
    }

    [Fact]
    public async Task List_ThatLeadsToItself_Ends()
    {
        _route53.Fault = static _ => (200, ScriptedRoute53.List(
            ScriptedRoute53.Simple("api.example.test.", "A", "192.0.2.1"),
            "<IsTruncated>true</IsTruncated><NextRecordName>api.example.test.</NextRecordName><NextRecordType>A</NextRecordType>"));
        using Route53Client client = _route53.Client();

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => client.ListRecordSetsAsync(ScriptedRoute53.ZoneId, s_name, default));

        Assert.Equal(SmcErrorCode.DnsUnavailable, error.Code);
    }

    [Fact]
    public async Task Change_OfAnything_IsWrittenInTheOrderOfTheSchemaAndEscaped()
    {
        DnsRecordSet set = new()
        {
            Name = DnsName.Parse("*.example.test"), Type = "A", SetIdentifier = "a<b>&\"c\"", Weight = 0, Ttl = 60, Values = ["192.0.2.1", "192.0.2.2"],
            HealthCheckId = "1234",
        };
        DnsRecordSet alias = set with
        {
            Weight = null, Failover = "PRIMARY", Ttl = null, Values = [],
            Alias = new DnsAlias { HostedZoneId = "ZELB", Name = DnsName.Parse("lb.example.org"), EvaluateTargetHealth = true },
        };
        using Route53Client client = _route53.Client();

        Route53Change change = await client.ChangeAsync(
            ScriptedRoute53.ZoneId, [new DnsRecordChange(null, set), new DnsRecordChange(alias, null)], "why & what", default);

        XElement root = XElement.Parse(Assert.Single(_route53.Changes));
        XElement[] changes = [.. root.Descendants().Where(static element => element.Name.LocalName == "Change")];
        Assert.Equal(("C0CHANGE", false), (change.Id, change.IsInSync));
        Assert.Equal("UPSERT", changes[0].Elements().First().Value);
        Assert.Equal("DELETE", changes[1].Elements().First().Value);
        Assert.Equal(
            ["Name", "Type", "SetIdentifier", "Weight", "TTL", "ResourceRecords", "HealthCheckId"],
            changes[0].Elements().Last().Elements().Select(static element => element.Name.LocalName));
        Assert.Equal(
            ["Name", "Type", "SetIdentifier", "Failover", "AliasTarget", "HealthCheckId"],
            changes[1].Elements().Last().Elements().Select(static element => element.Name.LocalName));
        Assert.Equal(set.SetIdentifier, changes[0].Descendants().First(static element => element.Name.LocalName == "SetIdentifier").Value);
        // What is written is read back as the same.
        Assert.True(Route53Xml.ReadRecordSet(changes[0].Elements().Last()).IsEquivalent(set));
        Assert.True(Route53Xml.ReadRecordSet(changes[1].Elements().Last()).IsEquivalent(alias));
    }

    [Fact]
    public async Task Request_ServerIsSilent_EndsByTimeOrByWish()
    {
        TaskCompletionSource release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _route53.Fault = _ =>
        {
            release.Task.Wait();
            return null;
        };
        try
        {
            using Route53Client client = _route53.Client(
                _route53.Options with { RequestTimeout = TimeSpan.FromMilliseconds(200), RetryTime = TimeSpan.FromMilliseconds(100) });
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => client.GetZoneAsync(ScriptedRoute53.ZoneId, default));
            Assert.Equal(SmcErrorCode.DnsUnavailable, error.Code);

            using Route53Client patient = _route53.Client();
            using CancellationTokenSource stop = new(TimeSpan.FromMilliseconds(100));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => patient.GetZoneAsync(ScriptedRoute53.ZoneId, stop.Token));
        }
        finally
        {
            release.SetResult();
        }
    }

    [Theory]
    [InlineData("AWS_ENDPOINT_URL_ROUTE_53", null, "http://127.0.0.1:1/")]
    [InlineData("AWS_ENDPOINT_URL", null, "http://127.0.0.1:1/")]
    [InlineData("AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "https://route53.amazonaws.com/")]
    [InlineData("OTHER", null, "https://route53.amazonaws.com/")]
    public void Endpoint_IsWhatTheEnvironmentSays(string variable, string? ignore, string expected)
    {
        Route53Signer signer = new(new Route53Options
        {
            Environment = name => name == variable ? "http://127.0.0.1:1" : name == ignore ? "true" : null,
        });

        Assert.Equal(expected, signer.Endpoint.AbsoluteUri);
    }

    [Theory]
    [InlineData("https://route53.amazonaws.com", "us-east-1")]
    [InlineData("https://route53.amazonaws.com.cn", "cn-northwest-1")]
    [InlineData("https://route53.us-gov.amazonaws.com", "us-gov-west-1")]
    public async Task Signature_IsForThePartitionsRegionAndTheSession(string endpoint, string region)
    {
        Route53Signer signer = new(new Route53Options
        {
            Endpoint = new Uri(endpoint),
            Credentials = new Amazon.Runtime.SessionAWSCredentials("key", "secret", "session-token"),
        });

        using HttpRequestMessage request = await signer.CreateRequestAsync(
            HttpMethod.Get, "/2013-04-01/hostedzone/Z1/rrset", [("name", "*.example.test.")], null, DateTimeOffset.UnixEpoch, default);

        string authorization = string.Join(",", request.Headers.GetValues("Authorization"));
        Assert.Contains($"Credential=key/19700101/{region}/route53/aws4_request", authorization, StringComparison.Ordinal);
        Assert.Contains("x-amz-security-token", authorization, StringComparison.Ordinal);
        Assert.Equal("session-token", Assert.Single(request.Headers.GetValues("X-Amz-Security-Token")));
        Assert.Equal("/2013-04-01/hostedzone/Z1/rrset?name=%2A.example.test.", request.RequestUri!.PathAndQuery);
    }

    private static DnsRecordChange Change(string address) =>
        new(null, new DnsRecordSet { Name = s_name, Type = "A", Ttl = 60, Values = [address] });
}
