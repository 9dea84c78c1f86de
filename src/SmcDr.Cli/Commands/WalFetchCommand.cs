using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

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

    public WalFetchCommand(CliHost host)
        : base(host, "fetch", "Gives a standby a file of the log: what the restore_command of 'smcdr region init' runs.")
    {
        Arguments.Add(_name);
        Arguments.Add(_destination);
        Options.Add(_cluster);
    }

    // A standby asks for segment after segment, and every few seconds for the next one: each would be a listing, and during an incident two entries.
    protected override bool IsNoted => false;

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Repository repository = await context.OpenForReadingAsync(context.LoadSite(), cancellationToken).ConfigureAwait(false);
        ParseResult parsed = context.Parsed;
        bool isThere = await WalFetch.TryFetchAsync(
            repository,
            parsed.GetValue(_cluster),
            parsed.GetValue(_name)!,
            context.FullPath(parsed.GetValue(_destination)!),
            cancellationToken).ConfigureAwait(false);
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
