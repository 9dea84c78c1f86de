using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Regions;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr region list</c>.</summary>
internal sealed class RegionListCommand : CliCommand
{
    private static readonly Column<RegionInfo>[] s_columns =
    [
        new("Region", static region => region.Name),
        new("Role", static region => region.Role),
        new("Database", static region => region.ActualRole),
        new("Fencing", static region => region.Fencing),
        new("Timeline", static region => region.Timeline?.ToString(CultureInfo.InvariantCulture), IsNumber: true),
        new("Position", static region => region.Lsn),
        new("From", static region => region.Replication),
        new("Behind", static region => region.LagBytes is { } bytes ? DisplayText.Size(bytes) : null, IsNumber: true),
        new("Loss", static region => region.LossBytes is { } bytes ? DisplayText.Size(bytes) : null, IsNumber: true),
        new("Redis", static region => region.RedisRole),
        new("DNS", static region => region.DnsLeadsHere is true ? "here" : null),
        new("Can take over", static region => region.CanTakeOver is { } can ? (can ? "yes" : "no") : null),
    ];

    private readonly Option<string?> _region = new("--region") { Description = "Only this region.", HelpName = "NAME" };

    public RegionListCommand(CliHost host)
        : base(host, "list", "Shows how the regions are, how far behind, and which could take over.")
    {
        Options.Add(_region);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        IReadOnlyList<RegionInfo> regions = await RegionInspection.LookAsync(
            context.LoadSite(), context.Secrets, context.Parsed.GetValue(_region), context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        context.WriteList(regions, s_columns, "There is no region.");
        if (!context.Json)
        {
            foreach (RegionInfo region in regions)
            {
                foreach (string sentence in region.Obstacles.Concat(region.Problems))
                {
                    await context.Host.Error.WriteLineAsync(ErrorText.OneLine($"{region.Name}: {sentence}")).ConfigureAwait(false);
                }
            }
        }

        return ExitCodes.Success;
    }
}
