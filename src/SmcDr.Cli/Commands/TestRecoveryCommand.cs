using System.CommandLine;
using System.CommandLine.Parsing;
using SmcDr.Cli.Output;
using SmcDr.Core.Certification;
using SmcDr.Core.Notifications;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr test recovery</c>.</summary>
internal sealed class TestRecoveryCommand : CliCommand
{
    /// <summary>With what it ends where the test has failed, which it has told the site's channels then.</summary>
    public static int FailedExitCode { get; } = SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode;

    private static readonly Column<CheckResult>[] s_columns =
    [
        new("Outcome", static check => check.Outcome),
        new("Check", static check => check.Name),
        new("Target", static check => check.Target),
        new("Took", static check => DisplayText.Seconds(check.DurationSeconds), IsNumber: true),
        new("Message", static check => check.Recommendation is { Length: > 0 } advice ? $"{check.Message} {advice}" : check.Message),
    ];

    private readonly Option<string?> _backup = new("--backup")
    {
        Description = "The base backup; alone, as it was at its end. Default: the newest, with all the log behind it.",
        HelpName = "ID",
    };

    private readonly Option<string?> _at = new("--at")
    {
        Description = "The instant to recover to: with Z or an offset, or relative to now, such as -2h.",
        HelpName = "TIME",
    };

    private readonly Option<bool> _random = new("--random") { Description = "Recover to an instant of the recovery windows, drawn by chance." };
    private readonly Option<bool> _queriesOnly = new("--queries-only")
    {
        Description = "Ask the site's queries only: read no table and index as a whole, and count no rows.",
    };

    private readonly Option<string?> _work = new("--work-directory")
    {
        Description = "Where the cluster is recovered to for the while, with room for all of it. Default: /var/tmp.",
        HelpName = "PATH",
    };

    private readonly Option<bool> _inCluster = new("--in-cluster")
    {
        Description = "Recover it in a namespace of its own of the database's cluster, and not on this host.",
    };

    private readonly Option<string?> _namespace = new("--namespace")
    {
        Description = "The namespace for --in-cluster, made where it is not there. Default: the database's own with -recovery-test behind it.",
        HelpName = "NAME",
    };

    private readonly Option<bool> _noAlert = new("--no-alert") { Description = "Tell nobody of the result." };

    public TestRecoveryCommand(CliHost host)
        : base(host, "recovery", "Recovers the database to a server that is thrown away, looks at what came back, and certifies it.")
    {
        foreach (Option option in new Option[] { _backup, _at, _random, _queriesOnly, _work, _inCluster, _namespace, _noAlert }.Concat(JobArguments.Options))
        {
            Options.Add(option);
        }

        Validators.Add(JobArguments.Validate);
        Validators.Add(result =>
        {
            if (result.GetResult(_random) is { Implicit: false }
                && (result.GetResult(_at) is { Implicit: false } || result.GetResult(_backup) is { Implicit: false }))
            {
                result.AddError("--random draws the point itself: give neither --at nor --backup with it.");
            }

            bool isInCluster = result.GetValue(_inCluster);
            if ((isInCluster && result.GetResult(_work) is { Implicit: false }) || (!isInCluster && result.GetResult(_namespace) is { Implicit: false }))
            {
                result.AddError("--in-cluster recovers to no directory of this host, and --namespace is for --in-cluster.");
            }

            if (isInCluster && JobArguments.IsJob(result))
            {
                result.AddError("--in-cluster recovers from here, and not in a Job.");
            }
        });
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (JobArguments.IsJob(context))
        {
            (IReadOnlyList<RecoveryTestResult> tests, _) = await JobArguments.RunAsync<RecoveryTestResult>(
                context,
                await JobArguments.CreateJobsAsync(context, JobCommand.TestRecovery, null, cancellationToken).ConfigureAwait(false),
                null,
                cancellationToken).ConfigureAwait(false);
            return await FinishAsync(context, context.LoadSite(), tests.Single(), cancellationToken).ConfigureAwait(false);
        }

        ParseResult parsed = context.Parsed;
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        IOperationObserver reading = context.CreatePlainObserver();
        Repository repository = await site.OpenForReadingAsync(context.Secrets, reading, cancellationToken).ConfigureAwait(false);
        string? work = parsed.GetValue(_work);
        RecoveryTestOptions options = site.CreateRecoveryTest(repository, work is null ? null : context.FullPath(work)) with
        {
            BackupId = parsed.GetValue(_backup),
            Target = parsed.GetValue(_at) is { } at ? RecoveryTarget.AtTime(InstantText.Parse(at)) : null,
            IsRandom = parsed.GetValue(_random),
            IsWhole = !parsed.GetValue(_queriesOnly),
            Pod = parsed.GetValue(_inCluster) ? site.CreateTestPlace(parsed.GetValue(_namespace), reading) : null,
        };
        RecoveryTestResult test = await context.ObserveAsync(
            observer => RecoveryTest.RunAsync(options, observer, cancellationToken)).ConfigureAwait(false);
        return await FinishAsync(context, site, test, cancellationToken).ConfigureAwait(false);
    }

    private async Task<int> FinishAsync(CliContext context, Site site, RecoveryTestResult test, CancellationToken cancellationToken)
    {
        context.Write(test, (writer, result) =>
        {
            TableOutput.Write(writer, result.Checks, s_columns, context.IsRichOut);
            writer.WriteLine();
            writer.WriteLine(
                result.RecoverySeconds is { } seconds
                    ? $"{result.Outcome}: recovered in {DisplayText.Seconds(seconds)}, looked at in {DisplayText.Seconds(result.CheckSeconds)}. " +
                        $"Certificate {result.TestId}."
                    : $"{result.Outcome}. Certificate {result.TestId}.");
        });
        IReadOnlyList<AlertResult> told = context.Parsed.GetValue(_noAlert) ? [] : await RecoveryTestAlert.TellAsync(
            site,
            test,
            new AlertSender(site, context.Secrets, context.CreatePlainObserver()),
            AlertSendOptions.FindStateDirectory(context.Host.Environment),
            cancellationToken).ConfigureAwait(false);
        SmcException? untold = AlertSender.FindFailure(told);
        if (untold is not null)
        {
            ErrorText.Write(context.Host.Error, untold);
        }

        return test.Outcome == CheckOutcomes.Failed ? FailedExitCode
            : untold is null ? ExitCodes.Success
            : SmcErrors.Get(untold.Code).ExitCode;
    }
}
