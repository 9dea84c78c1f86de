namespace SmcDr.Core.Dns;

/// <summary>A hosted zone of Route 53. A private and a public zone may have the same name, so a zone is always meant by its id.</summary>
/// <param name="Id">The id, such as <c>Z0123456789ABC</c>.</param>
/// <param name="Name">The domain that it is for.</param>
/// <param name="IsPrivate">Whether it answers in its VPCs only.</param>
/// <param name="NameServers">The servers that answer for it. Empty for a private zone, and in lists.</param>
public sealed record DnsZone(string Id, DnsName Name, bool IsPrivate, IReadOnlyList<DnsName> NameServers)
{
    /// <summary>The zone for messages.</summary>
    public string Display => $"{(IsPrivate ? "private zone" : "zone")} {Id} ({Name.Display})";
}
