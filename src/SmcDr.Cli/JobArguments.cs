using System.CommandLine;
using System.CommandLine.Parsing;
using SmcDr.Cli.Output;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Cli;

/// <summary>What the commands have in common that can run in the site's cluster.</summary>
internal static class JobArguments
{
    private static readonly Option<bool> s_asJob = new("--as-kubernetes-job")
    {
        Description = "Run in the cluster of the site's primary region, by the image of its kubernetes.job, and follow it from here.",
    };

    private static readonly Option<bool> s_cancelOnStop = new("--cancel-on-stop")
    {
        Description = "With --as-kubernetes-job: end what runs in the cluster when this is stopped. Default: it goes on there.",
    };

    /// <summary>The options; <see cref="GlobalOptions.Json"/> is among them.</summary>
    public static IEnumerable<Option> Options => [s_asJob, s_cancelOnStop, GlobalOptions.Json, GlobalOptions.JsonLines];

    /// <summary>Refuses the one option without the other.</summary>
    public static void Validate(CommandResult result)
    {
        if (result.GetValue(s_cancelOnStop) && !result.GetValue(s_asJob))
        {
            result.AddError("--cancel-on-stop is for --as-kubernetes-job.");
        }
    }

    /// <summary>Whether the command is to run in the cluster.</summary>
    public static bool IsJob(CliContext context) => context.Parsed.GetValue(s_asJob);

    /// <inheritdoc cref="IsJob(CliContext)"/>
    public static bool IsJob(CommandResult result) => result.GetValue(s_asJob);

    /// <summary>What runs in the cluster: the same command with the options that were given.</summary>
    /// <param name="context">The run of the command.</param>
    /// <param name="command">The command.</param>
    /// <param name="databases">The option whose values get a Job each; null = there is none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<SiteJob>> CreateJobsAsync(
        CliContext context, JobCommand command, Option<string[]>? databases, CancellationToken cancellationToken)
    {
        List<string> arguments = [];
        List<string> positions = [];
        Option[] here =
        [
            s_asJob, s_cancelOnStop, GlobalOptions.Json, GlobalOptions.JsonLines, GlobalOptions.Site, GlobalOptions.Verbose, GlobalOptions.NoColor,
            .. databases is null ? [] : new Option[] { databases },
        ];
        foreach (SymbolResult child in context.Parsed.CommandResult.Children)
        {
            if (child is OptionResult { Implicit: false } option && !here.Contains(option.Option))
            {
                // With '=' a value that begins with '-' or '@' stays one.
                string name = option.Option.Name;
                arguments.AddRange(option.Tokens.Count == 0 ? [name] : option.Tokens.SelectMany(token => SiteJobs.Option(name, token.Value)));
            }
            else if (child is ArgumentResult argument)
            {
                positions.AddRange(argument.Tokens.Select(static token => token.Value));
            }
        }

        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        return site.CreateJobs(
            command, [.. positions, .. arguments], databases is null ? [] : context.Parsed.GetValue(databases)!, context.CreatePlainObserver());
    }

    /// <summary>Runs the command in the cluster, and returns its results with the exit code of what failed, or null where nothing did.</summary>
    public static async Task<(IReadOnlyList<T> Results, int? ExitCode)> RunAsync<T>(
        CliContext context, IReadOnlyList<SiteJob> jobs, Action<T>? onResult, CancellationToken cancellationToken)
    {
        List<T> results = [];
        IReadOnlyList<SmcException> failures = await context.ObserveAsync<IReadOnlyList<SmcException>>(observer => SiteJobs.RunAsync<T>(
            jobs,
            context.Parsed.GetValue(s_cancelOnStop),
            result =>
            {
                results.Add(result);
                onResult?.Invoke(result);
                return Task.CompletedTask;
            },
            observer,
            cancellationToken)).ConfigureAwait(false);
        foreach (SmcException failure in failures)
        {
            ErrorText.Write(context.Host.Error, failure);
        }

        return (results, failures.Count == 0 ? null : SmcErrors.Get(failures[0].Code).ExitCode);
    }

    /// <summary>Takes backups in the cluster, writes them, and returns the exit code.</summary>
    public static async Task<int> BackUpAsync(
        CliContext context, IReadOnlyList<SiteJob> jobs, Action<IReadOnlyList<BackupInfo>> write, CancellationToken cancellationToken)
    {
        (IReadOnlyList<BackupInfo> backups, int? failed) = await RunAsync<BackupInfo>(context, jobs, null, cancellationToken).ConfigureAwait(false);
        if (backups.Count > 0)
        {
            write(backups);
        }

        return failed ?? BackupFinish.ExitCodeOf([.. backups]);
    }

    /// <summary>Has the cluster run a WAL stream, and returns where it stood when it began to stream.</summary>
    public static Task<WalStreamStatus> DeployStreamAsync(CliContext context, SiteJob job, CancellationToken cancellationToken) =>
        context.ObserveAsync(observer => SiteJobs.DeployStreamAsync(
            job, context.Parsed.GetValue(s_cancelOnStop), null, observer, cancellationToken));
}
