using System.Net;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using SmcDr.Core.Dns;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;

namespace SmcDr.Core.Tests.Dns;

/// <summary>
/// An HTTP server that answers as Route 53 does, with what a test puts into it: for what moto does not do, such as PENDING, throttling, names as
/// AWS writes them, and failures. It keeps one public zone, <c>example.test</c>.
/// </summary>
internal sealed class ScriptedRoute53 : IAsyncDisposable
{
    public const string ZoneId = "Z0SCRIPTED";

    private readonly FakeApiServer _http;
    private readonly List<string> _bodies = [];

    public ScriptedRoute53()
    {
        _http = new FakeApiServer(AnswerAsync);
    }

    /// <summary>What is answered in place of the usual answer, where it is not null: the status and the body.</summary>
    public Func<HttpListenerContext, (int Status, string Body)?>? Fault { get; set; }

    /// <summary>The record sets, as elements of XML.</summary>
    public string RecordSets { get; set; } = "";

    /// <summary>What the record sets are after a change, whatever it says; null = what they were.</summary>
    public string? RecordSetsAfterChange { get; set; }

    /// <summary>How often the change is PENDING before it is INSYNC.</summary>
    public int PendingCount { get; set; }

    public string[] Requests => _http.Requests;

    /// <summary>The bodies of all changes, in order.</summary>
    public IReadOnlyList<string> Changes
    {
        get
        {
            lock (_bodies)
            {
                return [.. _bodies];
            }
        }
    }

    public Route53Options Options => new()
    {
        Endpoint = new Uri($"http://127.0.0.1:{_http.Port}"),
        Credentials = MotoServer.Credentials,
        RetryDelay = TimeSpan.FromMilliseconds(2),
        MaximumRetryDelay = TimeSpan.FromMilliseconds(20),
        RetryTime = TimeSpan.FromSeconds(20),
    };

    public Route53Client Client(Route53Options? options = null, IOperationObserver? observer = null) =>
        new(options ?? Options, observer ?? NullObserver.Instance);

    public DnsRecords Records(
        IReadOnlyList<DnsTarget>? targets = null, IReadOnlyList<string>? nameServers = null, Route53Options? options = null, IOperationObserver? observer = null) =>
        new(ZoneId, targets ?? [], nameServers ?? [], options ?? Options, observer ?? NullObserver.Instance,
            new DnsServerClient { Silence = TimeSpan.FromMilliseconds(300), Attempts = 2 });

    public static string Error(string code, string message) =>
        $"<?xml version=\"1.0\"?><ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>";

    public static string Simple(string name, string type, string value, int ttl = 60) =>
        $"<ResourceRecordSet><Name>{name}</Name><Type>{type}</Type><TTL>{ttl}</TTL><ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>";

    public static string List(string sets, string rest = "<IsTruncated>false</IsTruncated>") =>
        $"<ListResourceRecordSetsResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ResourceRecordSets>{sets}</ResourceRecordSets>{rest}<MaxItems>300</MaxItems></ListResourceRecordSetsResponse>";

    public ValueTask DisposeAsync() => _http.DisposeAsync();

    private async Task AnswerAsync(HttpListenerContext context, string body)
    {
        if (context.Request.HttpMethod == "POST")
        {
            lock (_bodies)
            {
                _bodies.Add(body);
            }
        }

        (int status, string answer) = Fault?.Invoke(context) ?? (200, Usual(context.Request));
        await FakeApiServer.SendAsync(context, status, answer, "text/xml");
    }

    private string Usual(HttpListenerRequest request)
    {
        string path = request.Url!.AbsolutePath;
        if (request.HttpMethod == "POST")
        {
            RecordSets = RecordSetsAfterChange ?? RecordSets;
            return "<ChangeResourceRecordSetsResponse>" + Change("PENDING") + "</ChangeResourceRecordSetsResponse>";
        }

        return path.StartsWith("/2013-04-01/change/", StringComparison.Ordinal)
                ? $"<GetChangeResponse>{Change(PendingCount-- > 0 ? "PENDING" : "INSYNC")}</GetChangeResponse>"
            : path.EndsWith("/rrset", StringComparison.Ordinal)
                ? List(Below(request.QueryString["name"]!))
            : path.EndsWith("/hostedzonesbyname", StringComparison.Ordinal)
                ? "<ListHostedZonesByNameResponse><HostedZones/><IsTruncated>false</IsTruncated></ListHostedZonesByNameResponse>"
            : $"<GetHostedZoneResponse><HostedZone><Id>/hostedzone/{ZoneId}</Id><Name>example.test.</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone><DelegationSet><NameServers><NameServer>ns1.example.test</NameServer></NameServers></DelegationSet></GetHostedZoneResponse>";
    }

    /// <summary>The record sets from a name on: with the one that follows, as the real list has it.</summary>
    private string Below(string name)
    {
        IEnumerable<XElement> all = XElement.Parse($"<all>{RecordSets}</all>").Elements();
        return string.Concat(all.SkipWhile(set => Plain(set.Element("Name")!.Value) != Plain(name)));

        static string Plain(string name) => Regex.Replace(name, @"\\(\d{3})", static match => ((char)Convert.ToInt32(match.Groups[1].Value, 8)).ToString());
    }

    private static string Change(string status) =>
        $"<ChangeInfo><Id>/change/C0CHANGE</Id><Status>{status}</Status><SubmittedAt>2026-11-05T10:00:00.000Z</SubmittedAt></ChangeInfo>";
}
