using System.CommandLine;
using SmcDr.Core.Dns;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr dns set</c>.</summary>
internal sealed class DnsSetCommand : CliCommand
{
    private readonly Option<string?> _region = new("--region") { Description = "The region that the name is to lead to.", HelpName = "REGION" };
    private readonly Option<string[]> _value = new("--value")
    {
        Description = "A value, in place of a region: an address or a host name. May be given several times.",
        HelpName = "VALUE",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<string?> _name = new("--name") { Description = "The name. Default: the site's record.", HelpName = "NAME" };
    private readonly Option<string?> _type = new("--type") { Description = "A, AAAA or CNAME. Default: what is there.", HelpName = "TYPE" };
    private readonly Option<int?> _ttl = new("--ttl") { Description = "For how many seconds resolvers may keep the record.", HelpName = "SECONDS" };
    private readonly Option<string?> _identifier = new("--set-identifier")
    {
        Description = "Which of several record sets of the name and type is changed alone.",
        HelpName = "ID",
    };

    private readonly Option<int?> _weight = new("--weight") { Description = "The weight of a weighted record, 0 to 255.", HelpName = "WEIGHT" };
    private readonly Option<bool> _replaceAlias = new("--replace-alias") { Description = "Replace an alias by a record with values." };
    private readonly DnsChangeOutput _output = new();

    public DnsSetCommand(CliHost host)
        : base(host, "set", "Leads clients to another region, or a name to other values, and follows that until the zone's servers answer so.")
    {
        foreach (Option option in new Option[] { _region, _value, _name, _type, _ttl, _identifier, _weight, _replaceAlias }.Concat(_output.Options))
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        DnsRecordRequest request = site.CreateDnsRequest(
            context.Parsed.GetValue(_name),
            context.Parsed.GetValue(_type),
            context.Parsed.GetValue(_region),
            context.Parsed.GetValue(_value)!,
            context.Parsed.GetValue(_ttl)) with
        {
            SetIdentifier = context.Parsed.GetValue(_identifier),
            Weight = context.Parsed.GetValue(_weight),
            ReplaceAlias = context.Parsed.GetValue(_replaceAlias),
        };
        return await _output.RunAsync(context, site, records => records.PlanAsync(request, cancellationToken), cancellationToken).ConfigureAwait(false);
    }
}
