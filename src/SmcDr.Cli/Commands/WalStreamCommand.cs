using System.CommandLine;
using Npgsql;
using SmcDr.Cli.Output;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr wal stream</c>.</summary>
internal sealed class WalStreamCommand : CliCommand
{
    private readonly Option<string?> _slot = new("--slot")
    {
        Description = "The replication slot. Default: the site's.",
        HelpName = "NAME",
    };

    private readonly Option<bool> _once = new("--once") { Description = "Leave when all that the server has written by now is in the repository." };

    private readonly Option<Lsn?> _until = new("--until")
    {
        Description = "Leave when the WAL up to this position is in the repository.",
        HelpName = "LSN",
        CustomParser = static result =>
        {
            if (Lsn.TryParse(result.Tokens[0].Value, out Lsn lsn))
            {
                return lsn;
            }

            result.AddError($"'{result.Tokens[0].Value}' is not a log sequence number such as 16/B374D848.");
            return null;
        },
    };

    public WalStreamCommand(CliHost host)
        : base(host, "stream", "Streams the primary's write-ahead log into the repository until it is stopped.")
    {
        Options.Add(_slot);
        Options.Add(_once);
        Options.Add(_until);
        Options.Add(GlobalOptions.Json);
        Validators.Add(result =>
        {
            if (result.GetValue(_once) && result.GetResult(_until) is not null)
            {
                result.AddError("--once and --until cannot be given together.");
            }
        });
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        DatabaseSettings database = site.GetDatabase();
        PostgresConnector connector = database.CreateConnector(context.Secrets);
        Repository repository = await CliContext.OpenOrCreateRepositoryAsync(site, cancellationToken).ConfigureAwait(false);
        Lsn? until = context.Parsed.GetValue(_until);
        if (context.Parsed.GetValue(_once))
        {
            until = await ServerPositionAsync(connector, cancellationToken).ConfigureAwait(false);
        }

        string slot = context.Parsed.GetValue(_slot) ?? database.Slot;
        PlainObserver observer = new(context.Host.Error, context.Verbose, TimeProvider.System);
        StreamStatusWriter status = new(context.Host.Out, context.Host.Error, context.Json, TimeProvider.System);
        WalReceiver receiver = new(
            connector, repository, new WalReceiverOptions { Slot = slot.Length == 0 ? null : slot }, observer);
        CurrentActivity.Name = "flushing WAL to the repository";
        using CancellationTokenSource leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task work = receiver.RunAsync(status, leave.Token);
        if (until is { } goal)
        {
            Task reached = receiver.WaitForFlushAsync(goal, leave.Token);
            await Task.WhenAny(work, reached).ConfigureAwait(false);
            await leave.CancelAsync().ConfigureAwait(false);
            await reached.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        try
        {
            await work.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (leave.IsCancellationRequested)
        {
            // A stream is ended by a signal: that is its way to leave, and no failure.
        }

        status.WriteLast();
        return ExitCodes.Success;
    }

    private static async Task<Lsn> ServerPositionAsync(PostgresConnector connector, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            using NpgsqlCommand command = new(
                "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text", connection);
            return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!);
        }
    }
}
