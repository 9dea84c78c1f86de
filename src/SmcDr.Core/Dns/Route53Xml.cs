using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace SmcDr.Core.Dns;

/// <summary>Route 53's XML (API version 2013-04-01): requests written, answers read.</summary>
internal static class Route53Xml
{
    private static readonly XNamespace s_namespace = "https://route53.amazonaws.com/doc/2013-04-01/";

    // An answer comes from the network: no DTD, nothing fetched, no more than a page can hold.
    private static readonly XmlReaderSettings s_reading = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = 32 << 20,
    };

    // By what tells a record set from others of its name and type.
    private static readonly (string Element, string Routing)[] s_otherRoutings =
    [
        ("TrafficPolicyInstanceId", "TrafficPolicy"), ("Region", "Latency"), ("GeoLocation", "Geolocation"), ("MultiValueAnswer", "MultiValue"),
        ("CidrRoutingConfig", "IpBased"), ("GeoProximityLocation", "Geoproximity"),
    ];

    /// <summary>Reads a document.</summary>
    /// <exception cref="XmlException">It is none.</exception>
    public static XElement Parse(byte[] content)
    {
        using XmlReader reader = XmlReader.Create(new MemoryStream(content), s_reading);
        return XDocument.Load(reader).Root ?? throw new XmlException("The document has no root.");
    }

    /// <summary>The request that carries changes out, all or none.</summary>
    public static byte[] WriteChanges(IEnumerable<DnsRecordChange> changes, string comment)
    {
        XElement root = new(
            s_namespace + "ChangeResourceRecordSetsRequest",
            new XElement(
                s_namespace + "ChangeBatch",
                new XElement(s_namespace + "Comment", comment),
                new XElement(
                    s_namespace + "Changes",
                    changes.Select(static change => new XElement(
                        s_namespace + "Change",
                        new XElement(s_namespace + "Action", change.After is null ? "DELETE" : "UPSERT"),
                        WriteRecordSet(change.After ?? change.Before!))))));
        using MemoryStream stream = new();
        using (XmlWriter writer = XmlWriter.Create(stream, new XmlWriterSettings { Encoding = new UTF8Encoding(false) }))
        {
            root.Save(writer);
        }

        return stream.ToArray();
    }

    /// <summary>A zone, and its servers where the answer has them.</summary>
    public static DnsZone ReadZone(XElement zone, XElement? delegation) => new(
        IdOf(Text(zone, "Id")),
        NameOf(zone),
        Child(zone, "Config") is { } config && Optional(config, "PrivateZone") == "true",
        [.. delegation is null || Child(delegation, "NameServers") is not { } servers
            ? []
            : servers.Elements().Select(static server => ParseName(server.Value.Trim()))]);

    /// <summary>A record set.</summary>
    public static DnsRecordSet ReadRecordSet(XElement set)
    {
        XElement? alias = Child(set, "AliasTarget");
        return new DnsRecordSet
        {
            Name = NameOf(set),
            Type = Text(set, "Type"),
            SetIdentifier = Optional(set, "SetIdentifier"),
            Weight = Number(set, "Weight"),
            Failover = Optional(set, "Failover"),
            Ttl = alias is null ? Number(set, "TTL") : null,
            Values = Child(set, "ResourceRecords") is { } records ? [.. records.Elements().Select(static record => Text(record, "Value"))] : [],
            Alias = alias is null ? null : new DnsAlias
            {
                HostedZoneId = Text(alias, "HostedZoneId"),
                Name = ParseName(Text(alias, "DNSName")),
                EvaluateTargetHealth = string.Equals(Optional(alias, "EvaluateTargetHealth"), "true", StringComparison.OrdinalIgnoreCase),
            },
            HealthCheckId = Optional(set, "HealthCheckId"),
            OtherRouting = s_otherRoutings.FirstOrDefault(other => Child(set, other.Element) is not null).Routing,
        };
    }

    /// <summary>How far a change is.</summary>
    public static Route53Change ReadChange(XElement answer)
    {
        XElement change = Required(answer, "ChangeInfo");
        return new Route53Change(IdOf(Text(change, "Id")), Text(change, "Status") == "INSYNC");
    }

    /// <summary>Code and message of a failure; null where it is none of Route 53's.</summary>
    public static (string Code, string Message)? ReadError(byte[] content)
    {
        try
        {
            XElement root = Parse(content);
            // Of a refused batch each error is a message of its own, under a root that is named by the code.
            return Child(root, "Messages") is { } messages
                ? (root.Name.LocalName, string.Join(' ', messages.Elements().Select(static message => message.Value.Trim())))
                // Some servers list the one error, as EC2's older protocol does.
                : Child(Child(root, "Errors") ?? root, "Error") is { } error ? (Text(error, "Code"), Optional(error, "Message") ?? "") : null;
        }
        catch (Exception exception) when (exception is XmlException or InvalidDataException)
        {
            return null;
        }
    }

    /// <summary>An element of a name below another, whatever its namespace: answers of different age name different ones.</summary>
    public static XElement? Child(XElement parent, string name) => parent.Elements().FirstOrDefault(child => child.Name.LocalName == name);

    /// <summary>An element that must be there.</summary>
    /// <exception cref="InvalidDataException">It is not.</exception>
    public static XElement Required(XElement parent, string name) => Child(parent, name)
        ?? throw new InvalidDataException($"'{parent.Name.LocalName}' has no '{name}'.");

    /// <summary>The text of an element; null where it is not there or empty.</summary>
    public static string? Optional(XElement parent, string name) => Child(parent, name)?.Value.Trim() is { Length: > 0 } text ? text : null;

    private static string Text(XElement parent, string name) => Required(parent, name).Value.Trim();

    private static int? Number(XElement parent, string name) => Optional(parent, name) is not { } text
        ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new InvalidDataException($"'{name}' is '{text}' and no number.");

    private static DnsName NameOf(XElement parent) => ParseName(Text(parent, "Name"));

    private static DnsName ParseName(string text) => DnsName.TryParse(text, out DnsName? name)
        ? name
        : throw new InvalidDataException($"'{text}' is no domain name.");

    // "/hostedzone/Z123" and "/change/C123" in answers are "Z123" and "C123" in requests.
    private static string IdOf(string text) => text[(text.LastIndexOf('/') + 1)..];

    /// <summary>In the order of the schema, by which Route 53 validates.</summary>
    private static XElement WriteRecordSet(DnsRecordSet set)
    {
        XElement element = new(
            s_namespace + "ResourceRecordSet",
            new XElement(s_namespace + "Name", set.Name.Text),
            new XElement(s_namespace + "Type", set.Type));
        Add(element, "SetIdentifier", set.SetIdentifier);
        Add(element, "Weight", set.Weight?.ToString(CultureInfo.InvariantCulture));
        Add(element, "Failover", set.Failover);
        if (set.Alias is { } alias)
        {
            element.Add(new XElement(
                s_namespace + "AliasTarget",
                new XElement(s_namespace + "HostedZoneId", alias.HostedZoneId),
                new XElement(s_namespace + "DNSName", alias.Name.Text),
                new XElement(s_namespace + "EvaluateTargetHealth", alias.EvaluateTargetHealth ? "true" : "false")));
        }
        else
        {
            Add(element, "TTL", set.Ttl?.ToString(CultureInfo.InvariantCulture));
            element.Add(new XElement(
                s_namespace + "ResourceRecords",
                set.Values.Select(static value => new XElement(s_namespace + "ResourceRecord", new XElement(s_namespace + "Value", value)))));
        }

        Add(element, "HealthCheckId", set.HealthCheckId);
        return element;
    }

    private static void Add(XElement parent, string name, string? text)
    {
        if (text is not null)
        {
            parent.Add(new XElement(s_namespace + name, text));
        }
    }
}
