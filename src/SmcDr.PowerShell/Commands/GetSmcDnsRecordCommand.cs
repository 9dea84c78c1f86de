using System.Management.Automation;
using SmcDr.Core.Dns;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets DNS records from Route 53, and the region of the site that they lead to.</summary>
/// <remarks>
/// <para>
/// Without a name it is the record of the site file, which leads clients to the primary region. Each record set is one object: a weighted or
/// failover record has several.
/// </para>
/// <para>
/// With -Authoritative the servers of the zone are asked directly, each for itself, over UDP and where needed over TCP. What they answer is what
/// resolvers will hear next; what resolvers still remember nobody can ask all of them.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcDnsRecord -Authoritative | Select-Object Name, Region, State -ExpandProperty Servers</code>
/// Shows which region clients are led to, and what each of the zone's servers says.
/// </example>
/// <example>
/// <code>Get-SmcDnsRecord smc-trading.com -Type SOA</code>
/// Shows another record of the same zone.
/// </example>
/// <example>
/// <code>if ((Get-SmcDnsRecord).Region -ne 'east') { Send-SmcAlert 'Clients are not led to the region east' -Key dns }</code>
/// For monitoring: tells the site's channels where the record leads elsewhere.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.DnsRecordUnsuitable"/>: There is no such zone or record.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.DnsAccessDenied"/>: The credentials may not read the zone.</exception>
/// <seealso cref="SetSmcDnsRecordCommand"/>
/// <seealso cref="GetSmcRegionCommand"/>
/// <seealso cref="StartSmcRegionFailoverCommand"/>
/// <seealso href="about_SmcDr_Failover"/>
[Cmdlet(VerbsCommon.Get, "SmcDnsRecord")]
[OutputType(typeof(DnsRecordInfo))]
public sealed class GetSmcDnsRecordCommand : SiteCmdlet
{
    /// <summary>The name. Without it, the site's record.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <summary>Only records of this type, such as CNAME.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Type { get; set; }

    /// <summary>Also asks the servers of the zone.</summary>
    [Parameter]
    public SwitchParameter Authoritative { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        using DnsRecords records = site.CreateDns(pipeline);
        IReadOnlyList<DnsRecordInfo> found = await site
            .ReadDnsAsync(records, Name, Type, Authoritative, cancellationToken).ConfigureAwait(false);
        foreach (DnsRecordInfo record in found)
        {
            await pipeline.WriteObjectAsync(record).ConfigureAwait(false);
        }
    }
}
