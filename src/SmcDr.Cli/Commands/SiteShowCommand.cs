using SmcDr.Cli.Output;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr site show</c>.</summary>
internal sealed class SiteShowCommand : CliCommand
{
    public SiteShowCommand(CliHost host)
        : base(host, "show", "Shows the site that commands work on.")
    {
        Options.Add(GlobalOptions.Json);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        context.Write(context.LoadSite().ToInfo(), static (writer, site) => TableOutput.WriteProperties(
            writer,
            ("Site", site.Name),
            ("File", site.Path),
            ("Repository", site.Repository),
            ("Regions", string.Join(", ", site.Regions)),
            ("Primary", site.PrimaryRegion),
            ("Database RTO", DisplayText.Duration(site.DatabaseRto)),
            ("Database RPO", DisplayText.Duration(site.DatabaseRpo))));
        return Task.FromResult(ExitCodes.Success);
    }
}
