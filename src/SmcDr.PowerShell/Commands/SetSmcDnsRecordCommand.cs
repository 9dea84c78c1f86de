using System.Management.Automation;
using SmcDr.Core.Dns;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Changes a DNS record in Route 53 so that clients are led elsewhere, and follows the change until the zone's servers answer so.</summary>
/// <remarks>
/// <para>
/// Simple, weighted and failover records of the types A, AAAA and CNAME are changed. With -Region all record sets of a weighted or failover record
/// are changed together, so that the name leads to that region alone. A record that is as it should be is not touched, and its servers are asked.
/// </para>
/// <para>
/// After the change: Route 53 is asked until all of its servers have it, then the zone's servers are asked directly, then the application, where the site
/// file names a probe. OldAnswerUntil says how long resolvers may still lead clients to the old place.
/// </para>
/// <para>
/// The result has what takes the change back: pipe it to this command, or give its Undo by -Undo.
/// </para>
/// </remarks>
/// <example>
/// <code>Set-SmcDnsRecord -Region west -WhatIf</code>
/// Shows what would change, and changes nothing.
/// </example>
/// <example>
/// <code>$change = Set-SmcDnsRecord -Region west -Confirm:$false; $change | Set-SmcDnsRecord</code>
/// Leads clients to the region west, and takes that back.
/// </example>
/// <example>
/// <code>Set-SmcDnsRecord -Name status.smc-trading.com -Value 192.0.2.10, 192.0.2.11 -Ttl 60</code>
/// Gives another name of the zone two addresses.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.DnsRecordUnsuitable"/>: The record is of a kind that is not changed, or was changed by somebody since.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.DnsAccessDenied"/>: The credentials may not change the zone.</exception>
/// <seealso cref="GetSmcDnsRecordCommand"/>
/// <seealso cref="StartSmcRegionFailoverCommand"/>
/// <seealso cref="GetSmcRegionCommand"/>
/// <seealso href="about_SmcDr_Failover"/>
[Cmdlet(VerbsCommon.Set, "SmcDnsRecord", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High, DefaultParameterSetName = ByRegion)]
[OutputType(typeof(DnsChangeResult))]
public sealed class SetSmcDnsRecordCommand : SiteCmdlet
{
    private const string ByRegion = "Region";
    private const string ByValue = "Value";
    private const string ByUndo = "Undo";

    /// <summary>The region of the site that the name is to lead to: by its endpoint in the site file.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = ByRegion)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Region { get; set; }

    /// <summary>The values: IPv4 addresses, IPv6 addresses, or one host name.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByValue)]
    [ValidateNotNullOrEmpty]
    public string[] Value { get; set; } = [];

    /// <summary>A change that is to be taken back: the Undo of an earlier result. A result that changed nothing has none, and nothing is done.</summary>
    [Parameter(Mandatory = true, ValueFromPipelineByPropertyName = true, ParameterSetName = ByUndo)]
    [AllowNull]
    [AllowEmptyString]
    public string? Undo { get; set; }

    /// <summary>The name. Without it, the site's record.</summary>
    [Parameter(ParameterSetName = ByRegion)]
    [Parameter(ParameterSetName = ByValue)]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <summary>
    /// What Get-SmcDnsRecord returns: its name, and with -Value its type and set identifier as well, where they are not given.
    /// </summary>
    [Parameter(ValueFromPipeline = true, ParameterSetName = ByRegion)]
    [Parameter(ValueFromPipeline = true, ParameterSetName = ByValue)]
    [ValidateNotNull]
    public DnsRecordInfo? InputObject { get; set; }

    /// <summary>The type. Without it, that of the record that is there, else the one that fits the value.</summary>
    [Parameter(ParameterSetName = ByRegion)]
    [Parameter(ParameterSetName = ByValue)]
    [ValidateSet("A", "AAAA", "CNAME")]
    public string? Type { get; set; }

    /// <summary>For how many seconds resolvers may keep the record. Without it, what the site file says for its own record, and what there is for others.</summary>
    [Parameter(ParameterSetName = ByRegion)]
    [Parameter(ParameterSetName = ByValue)]
    [ValidateRange(0, 604800)]
    public int? Ttl { get; set; }

    /// <summary>Which of several record sets of the name and type is changed alone.</summary>
    [Parameter(ParameterSetName = ByRegion)]
    [Parameter(ParameterSetName = ByValue)]
    [ValidateNotNullOrEmpty]
    public string? SetIdentifier { get; set; }

    /// <summary>The weight of a weighted record, 0 to 255. With -SetIdentifier it also makes a new one.</summary>
    [Parameter(ParameterSetName = ByRegion)]
    [Parameter(ParameterSetName = ByValue)]
    [ValidateRange(0, 255)]
    public int? Weight { get; set; }

    /// <summary>Replaces an alias by a record with values, which it otherwise refuses.</summary>
    [Parameter(ParameterSetName = ByRegion)]
    [Parameter(ParameterSetName = ByValue)]
    public SwitchParameter ReplaceAlias { get; set; }

    /// <summary>Takes a change back although somebody has changed the record since.</summary>
    [Parameter(ParameterSetName = ByUndo)]
    public SwitchParameter Force { get; set; }

    /// <summary>Returns when Route 53 has taken the change, and follows it no further.</summary>
    [Parameter]
    public SwitchParameter NoWait { get; set; }

    /// <summary>Does not ask the zone's own servers.</summary>
    [Parameter]
    public SwitchParameter SkipAuthoritative { get; set; }

    /// <summary>How long is waited for Route 53 and the zone's servers together, such as 5m.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? Timeout { get; set; }

    /// <summary>The address that the application is asked for at the new place, under the record's name. Without it, what the site file says.</summary>
    [Parameter]
    [ValidateNotNull]
    public Uri? ProbeUrl { get; set; }

    /// <summary>Does not ask the application.</summary>
    [Parameter]
    public SwitchParameter SkipProbe { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if (ParameterSetName == ByUndo && string.IsNullOrEmpty(Undo))
        {
            pipeline.WriteWarning("The earlier command changed nothing, so there is nothing to take back.");
            return;
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        using DnsRecords records = site.CreateDns(pipeline);
        // With -Region all record sets of the name change, of which this is one.
        DnsRecordInfo? same = ParameterSetName == ByValue ? InputObject : null;
        DnsChangePlan plan = ParameterSetName == ByUndo
            ? await records.PlanUndoAsync(DnsUndo.Parse(Undo!), Force, cancellationToken).ConfigureAwait(false)
            : await records.PlanAsync(
                site.CreateDnsRequest(Name ?? InputObject?.Name, Type ?? same?.Type, Region, Value, Ttl) with
                {
                    SetIdentifier = SetIdentifier ?? same?.SetIdentifier,
                    Weight = Weight,
                    ReplaceAlias = ReplaceAlias,
                },
                cancellationToken).ConfigureAwait(false);
        DnsApplyOptions options = site.CreateDnsApplyOptions(plan.Name, ProbeUrl?.OriginalString);
        options = options with
        {
            Wait = !NoWait,
            AskServers = !SkipAuthoritative,
            Timeout = Timeout ?? options.Timeout,
            ProbeUrl = SkipProbe ? null : options.ProbeUrl,
        };
        string description = plan.Describe();
        if (plan.Changes.Count == 0 && !await IsWhatIfAsync(pipeline).ConfigureAwait(false))
        {
            pipeline.WriteVerbose(description);
        }
        else if (!await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this out?", $"Change {plan.Name.Display}").ConfigureAwait(false))
        {
            return;
        }

        DnsChangeResult result = await records.ApplyAsync(plan, options, cancellationToken).ConfigureAwait(false);
        // First what takes the change back, then what is wrong with it: -ErrorAction Stop must not lose it.
        await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        if (options.FindFailure(result) is { } failure)
        {
            await pipeline.WriteErrorAsync(failure, result).ConfigureAwait(false);
        }
        else
        {
            foreach (string problem in result.Problems)
            {
                pipeline.WriteWarning(problem);
            }
        }
    }
}
