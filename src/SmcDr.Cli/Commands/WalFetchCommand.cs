using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Regions;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr wal fetch</c>.</summary>
internal sealed class WalFetchCommand : CliCommand
{
    private readonly Argument<string> _name = new("name") { Description = "The file that PostgreSQL asks for: %f.", HelpName = "NAME" };
    private readonly Argument<string> _destination = new("destination") { Description = "Where to: %p.", HelpName = "PATH" };
    private readonly Option<ulong> _cluster = new("--cluster")
    {
        Description = "The system identifier of the database cluster.",
        HelpName = "ID",
        Required = true,
        CustomParser = Cluster,
    };

    private readonly Option<string?> _primary = new("--primary")
    {
        Description = "The region that the standby follows. What its primary still keeps for the standby's slot is left to the stream.",
        HelpName = "REGION",
    };

    private readonly Option<string?> _slot = new("--slot") { Description = "The slot by which the standby streams, with --primary.", HelpName = "NAME" };

    public WalFetchCommand(CliHost host)
        : base(host, "fetch", "Gives a standby a file of the log: what the restore_command of 'smcdr region init' runs.")
    {
        Arguments.Add(_name);
        Arguments.Add(_destination);
        Options.Add(_cluster);
        Options.Add(_primary);
        Options.Add(_slot);
    }

    // A standby asks for segment after segment, and every few seconds for the next one: each would be a listing, and during an incident two entries.
    protected override bool IsNoted => false;

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        Site site = context.LoadSite();
        ulong cluster = parsed.GetValue(_cluster);
        string name = parsed.GetValue(_name)!;
        string destination = context.FullPath(parsed.GetValue(_destination)!);
        // Before the repository is opened: what is streamed costs no more than a look at the primary.
        bool isThere = false;
        if (parsed.GetValue(_primary) is not { Length: > 0 } primary || parsed.GetValue(_slot) is not { Length: > 0 } slot ||
            !await StandbyFetch.IsStreamedAsync(
                site, context.Secrets, primary, slot, cluster, name, destination, context.Host.Error.WriteLine, cancellationToken).ConfigureAwait(false))
        {
            Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
            isThere = await WalFetch.TryFetchAsync(repository, cluster, name, destination, cancellationToken).ConfigureAwait(false);
        }

        // A standby asks every few seconds for what there is not yet: nothing is written to the server's log then.
        return isThere ? ExitCodes.Success : SmcErrors.Get(SmcErrorCode.ObjectNotFound).ExitCode;
    }

    private static ulong Cluster(ArgumentResult result)
    {
        if (ulong.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong id))
        {
            return id;
        }

        result.AddError($"'{result.Tokens[0].Value}' is not the system identifier of a database cluster, as pg_controldata shows it.");
        return 0;
    }
}
