using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Regions;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr region init</c>.</summary>
internal sealed class RegionInitCommand : CliCommand
{
    private readonly Option<string?> _region = new("--region") { Description = "The region. Default: the only one that does not lead.", HelpName = "NAME" };
    private readonly Option<string?> _backup = new("--backup")
    {
        Description = "The base backup to begin with. Default: the newest that the primary's history goes through.",
        HelpName = "ID",
    };

    private readonly Option<bool> _force = new("--force")
    {
        Description = "Move aside what is in the data directory, and let a Redis lose keys of its own.",
    };

    private readonly Option<bool> _delta = new("--delta")
    {
        Description = "Keep what is right in an old data directory, and overwrite or remove the rest, without a copy.",
    };

    private readonly Option<bool> _noArchive = new("--no-archive")
    {
        Description = "Give the standby no restore_command: a link that is cut for too long ends it.",
    };

    private readonly Option<string[]> _program = RegionArguments.NewProgram();
    private readonly Option<int?> _parallelism = new("--parallelism", "-j")
    {
        Description = "How much is restored at a time. Default: what fits this machine.",
        HelpName = "N",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be done, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public RegionInitCommand(CliHost host)
        : base(host, "init", "Makes the database of a region, on this host, and its Redis follow those of the region that leads.")
    {
        foreach (Option option in new Option[] { _region, _backup, _force, _delta, _noArchive, _program, _parallelism, _dryRun, _yes, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        Site site = context.LoadSite();
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        RegionReplicaPlan plan = await context.ObserveAsync(observer => RegionReplica.PlanAsync(
            site,
            context.Secrets,
            new RegionReplicaRequest
            {
                Repository = repository,
                Region = parsed.GetValue(_region),
                BackupId = parsed.GetValue(_backup),
                Force = parsed.GetValue(_force),
                Delta = parsed.GetValue(_delta),
                Program = parsed.GetValue(_noArchive) ? [] : RegionArguments.GetProgram(parsed, _program),
                Parallelism = parsed.GetValue(_parallelism),
            },
            observer,
            cancellationToken)).ConfigureAwait(false);
        bool isDryRun = parsed.GetValue(_dryRun);
        foreach (string line in plan.Describe())
        {
            await (isDryRun ? context.Host.Out : context.Host.Error).WriteLineAsync(ErrorText.OneLine(line)).ConfigureAwait(false);
        }

        if (isDryRun)
        {
            return ExitCodes.Success;
        }

        if (plan.IsDestructive && !await context.ConfirmAsync(
            $"What the region '{plan.Follower.Name}' has will be replaced.", parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        IReadOnlyList<RegionReplicaResult> results = await context.ObserveAsync(
            observer => RegionReplica.ExecuteAsync(site, context.Secrets, plan, observer, cancellationToken)).ConfigureAwait(false);
        context.Write(results, static (writer, results) =>
        {
            foreach (RegionReplicaResult result in results)
            {
                TableOutput.WriteProperties(
                    writer,
                    ("Region", $"{result.Region}, following {result.Source}"),
                    ("Component", result.Component),
                    ("State", result.State),
                    ("Server", result.Server),
                    ("Link", result.Link),
                    ("Data directory", result.DataDirectory),
                    ("Previous one", result.PreviousDataDirectory),
                    ("Backup", result.BackupId),
                    ("Slot", result.Slot),
                    ("Changes", result.Changes.Count == 0 ? null : string.Join(" ", result.Changes)),
                    ("Took", DisplayText.Duration(result.Duration)));
            }
        });
        return ExitCodes.Success;
    }
}
