using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Dns;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr dns show</c>.</summary>
internal sealed class DnsShowCommand : CliCommand
{
    private static readonly Column<DnsRecordInfo>[] s_columns =
    [
        new("Name", static record => record.Name),
        new("Type", static record => record.Type),
        new("TTL", static record => record.TtlSeconds?.ToString(CultureInfo.InvariantCulture), IsNumber: true),
        new("Value", static record => record.AliasTarget is { } alias ? $"alias of {alias}" : string.Join(", ", record.Values)),
        new("Region", static record => record.Region),
        new("Routing", static record => record.SetIdentifier is null ? record.Routing
            : $"{record.Routing} {record.SetIdentifier} {record.Failover ?? record.Weight?.ToString(CultureInfo.InvariantCulture)}".TrimEnd()),
    ];

    private static readonly Column<DnsRecordInfo>[] s_columnsWithServers =
    [
        .. s_columns,
        new("State", static record => record.State),
        new("Servers", static record => string.Join("; ", record.Servers.Select(
            static answer => $"{answer.Server}: {answer.Outcome} {string.Join(", ", answer.Values)}".TrimEnd()))),
    ];

    private readonly Option<string?> _name = new("--name") { Description = "The name. Default: the site's record.", HelpName = "NAME" };
    private readonly Option<string?> _type = new("--type") { Description = "Only records of this type.", HelpName = "TYPE" };
    private readonly Option<bool> _authoritative = new("--authoritative") { Description = "Also ask the servers of the zone." };

    public DnsShowCommand(CliHost host)
        : base(host, "show", "Shows the record that leads clients to a region, and which one.")
    {
        Options.Add(_name);
        Options.Add(_type);
        Options.Add(_authoritative);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        bool askServers = context.Parsed.GetValue(_authoritative);
        using DnsRecords records = site.CreateDns(context.CreatePlainObserver());
        IReadOnlyList<DnsRecordInfo> found = await site.ReadDnsAsync(
            records, context.Parsed.GetValue(_name), context.Parsed.GetValue(_type), askServers, cancellationToken).ConfigureAwait(false);
        context.WriteList(found, askServers ? s_columnsWithServers : s_columns, "There is no record.");
        return ExitCodes.Success;
    }
}
