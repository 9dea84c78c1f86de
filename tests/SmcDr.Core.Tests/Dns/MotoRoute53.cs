using System.Net.Http.Headers;
using System.Text;
using System.Xml.Linq;
using SmcDr.Core.Dns;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Dns;

/// <summary>Hosted zones of moto, made from outside: without the client under test.</summary>
internal static class MotoRoute53
{
    // moto finds the service by the signature's scope, and does not check the signature.
    private static readonly AuthenticationHeaderValue s_authorization = new(
        "AWS4-HMAC-SHA256", "Credential=smcdr-tests/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=0");

    private static int s_calls;

    public static Route53Options Route53(this MotoServer moto) => new()
    {
        Endpoint = new Uri(moto.Endpoint),
        Credentials = MotoServer.Credentials,
        RetryDelay = TimeSpan.FromMilliseconds(2),
        RetryTime = TimeSpan.FromSeconds(20),
    };

    /// <summary>Makes a zone and gives its id.</summary>
    public static async Task<string> CreateZoneAsync(this MotoServer moto, string name = DnsmasqServer.Zone, bool isPrivate = false)
    {
        XElement answer = await moto.PostAsync(
            "hostedzone",
            $"<CreateHostedZoneRequest><Name>{name}</Name><CallerReference>{Interlocked.Increment(ref s_calls)}</CallerReference>"
            + $"<HostedZoneConfig><Comment>a test's</Comment><PrivateZone>{(isPrivate ? "true" : "false")}</PrivateZone></HostedZoneConfig></CreateHostedZoneRequest>");
        string zone = answer.Descendants().First(static element => element.Name.LocalName == "Id").Value.Replace("/hostedzone/", "", StringComparison.Ordinal);

        // Some versions of moto make the zone's SOA with a value in Python's notation, which no server has.
        await moto.PostAsync(
            $"hostedzone/{zone}/rrset/",
            "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet>"
            + $"<Name>{name.TrimEnd('.')}.</Name><Type>SOA</Type><TTL>900</TTL><ResourceRecords><ResourceRecord>"
            + $"<Value>ns.{name.TrimEnd('.')}. hostmaster.{name.TrimEnd('.')}. 1 7200 900 1209600 86400</Value>"
            + "</ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
        return zone;
    }

    /// <summary>Makes record sets, given as elements of XML.</summary>
    public static Task AddAsync(this MotoServer moto, string zone, params string[] sets) => moto.PostAsync(
        $"hostedzone/{zone}/rrset/",
        "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes>"
        + string.Concat(sets.Select(static set => $"<Change><Action>CREATE</Action>{set}</Change>"))
        + "</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");

    /// <summary>The CNAME records of a zone.</summary>
    public static async Task<(string Name, string Target)[]> ReadAliasesAsync(this MotoServer moto, string zone)
    {
        static string Part(XElement set, string name) => set.Descendants().First(element => element.Name.LocalName == name).Value;
        using HttpClient http = new();
        using HttpRequestMessage request = new(HttpMethod.Get, $"{moto.Endpoint}/2013-04-01/hostedzone/{zone}/rrset");
        request.Headers.Authorization = s_authorization;
        using HttpResponseMessage response = await http.SendAsync(request);
        string answer = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode
            ? [.. XElement.Parse(answer).Descendants().Where(static element => element.Name.LocalName == "ResourceRecordSet" && Part(element, "Type") == "CNAME")
                .Select(static set => (Part(set, "Name").TrimEnd('.'), Part(set, "Value").TrimEnd('.')))]
            : throw new InvalidOperationException(answer);
    }

    public static DnsRecords Records(
        this MotoServer moto, string zone, IReadOnlyList<DnsTarget>? targets = null, IReadOnlyList<string>? nameServers = null, IOperationObserver? observer = null) =>
        new(zone, targets ?? [], nameServers ?? [], moto.Route53(), observer ?? NullObserver.Instance,
            new DnsServerClient { Silence = TimeSpan.FromMilliseconds(300), Attempts = 2 });

    private static async Task<XElement> PostAsync(this MotoServer moto, string path, string xml)
    {
        using HttpClient http = new();
        using HttpRequestMessage request = new(HttpMethod.Post, $"{moto.Endpoint}/2013-04-01/{path}") { Content = new StringContent(xml, Encoding.UTF8, "text/xml") };
        request.Headers.Authorization = s_authorization;
        using HttpResponseMessage response = await http.SendAsync(request);
        string answer = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode ? XElement.Parse(answer) : throw new InvalidOperationException(answer);
    }
}
