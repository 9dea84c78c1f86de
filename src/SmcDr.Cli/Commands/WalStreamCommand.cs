using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Operations;
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
        CustomParser = ArgumentParsers.Lsn,
    };

    private readonly Option<bool> _takeover = new("--takeover")
    {
        Description = "Take over from another stream that seems to be at work; it stops before it writes again.",
    };

    private readonly Option<bool> _continueAfterGap = new("--continue-after-gap")
    {
        Description = "Go on where the server has removed WAL that is not archived, with a new slot. A base backup is needed then.",
    };

    private readonly Option<bool> _synchronous = new("--synchronous")
    {
        Description = "Let the server's commits wait until they are in the repository.",
    };

    private readonly Option<TimeSpan?> _synchronousTimeout = BackupArguments.NewDuration(
        "--synchronous-timeout", "How long commits may wait before they are let go without the repository. Default: 10s.");

    private readonly Option<string?> _spillDirectory = new("--spill-directory")
    {
        Description = "Where WAL is kept that the repository cannot take because it is full or away. Default: the site's; \"\" for none.",
        HelpName = "PATH",
    };

    private readonly Option<long?> _spillLimit = new("--spill-limit")
    {
        Description = "How much may be kept there; more stays on the server. Default: the site's, or 10GiB.",
        HelpName = "SIZE",
        CustomParser = ArgumentParsers.Size,
    };

    public WalStreamCommand(CliHost host)
        : base(host, "stream", "Streams the primary's write-ahead log into the repository until it is stopped.")
    {
        Options.Add(_slot);
        Options.Add(_once);
        Options.Add(_until);
        Options.Add(_takeover);
        Options.Add(_continueAfterGap);
        Options.Add(_synchronous);
        Options.Add(_synchronousTimeout);
        Options.Add(_spillDirectory);
        Options.Add(_spillLimit);
        foreach (Option option in JobArguments.Options)
        {
            Options.Add(option);
        }

        Validators.Add(JobArguments.Validate);
        Validators.Add(result =>
        {
            if (result.GetValue(_once) && result.GetResult(_until) is not null)
            {
                result.AddError("--once and --until cannot be given together.");
            }

            if (result.GetResult(_synchronousTimeout) is not null && !result.GetValue(_synchronous))
            {
                result.AddError("--synchronous-timeout is for --synchronous.");
            }
        });
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (JobArguments.IsJob(context))
        {
            return await RunInClusterAsync(context, cancellationToken).ConfigureAwait(false);
        }

        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await site.OpenOrCreateRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        Lsn? until = context.Parsed.GetValue(_until);
        if (context.Parsed.GetValue(_once))
        {
            until = await WalStreaming.GetServerPositionAsync(site.CreateConnector(context.Secrets), cancellationToken).ConfigureAwait(false);
        }

        IOperationObserver observer = context.CreatePlainObserver();
        StreamStatusWriter status = new(context.Host.Out, context.Host.Error, context.Json, TimeProvider.System);
        string? spill = context.Parsed.GetValue(_spillDirectory);
        WalReceiverOptions options = new()
        {
            Takeover = context.Parsed.GetValue(_takeover),
            ContinueAfterGap = context.Parsed.GetValue(_continueAfterGap),
            Synchronous = context.Parsed.GetValue(_synchronous),
            SpillDirectory = string.IsNullOrEmpty(spill) ? spill : context.FullPath(spill),
        };
        options = context.Parsed.GetValue(_synchronousTimeout) is { } limit ? options with { SynchronousTimeout = limit } : options;
        WalReceiver receiver = site.CreateWalReceiver(
            repository, context.Secrets, context.Parsed.GetValue(_slot), options, context.Parsed.GetValue(_spillLimit), observer);
        CurrentActivity.Name = "flushing WAL to the repository";
        bool isReached = await WalStreaming.RunAsync(
            receiver, until, context.JsonLines ? context.Host.Events : status, cancellationToken).ConfigureAwait(false);
        status.WriteLast();
        context.Host.Events.WriteLastStatus();
        // A stream without an end is stopped to end it. One that was to reach a position and did not is no success: as a Job it would count as done.
        return isReached ? ExitCodes.Success : throw new OperationCanceledException(cancellationToken);
    }

    private static async Task<int> RunInClusterAsync(CliContext context, CancellationToken cancellationToken)
    {
        StreamStatusWriter status = new(context.Host.Out, context.Host.Error, context.Json, TimeProvider.System);
        IReadOnlyList<SiteJob> jobs = await JobArguments.CreateJobsAsync(context, JobCommand.WalStream, null, cancellationToken).ConfigureAwait(false);
        if (!jobs.Single().IsDeployment)
        {
            await JobArguments.RunAsync<WalStreamStatus>(context, jobs, status.Report, cancellationToken).ConfigureAwait(false);
            status.WriteLast();
        }
        else
        {
            status.Report(await JobArguments.DeployStreamAsync(context, jobs.Single(), cancellationToken).ConfigureAwait(false));
        }

        return ExitCodes.Success;
    }
}
