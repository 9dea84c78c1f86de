using System.CommandLine.Parsing;
using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Certification;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr test recovery</c>.</summary>
internal sealed class TestRecoveryCommand : CliCommand
{
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

    public TestRecoveryCommand(CliHost host)
        : base(host, "recovery", "Recovers the database to a server that is thrown away, looks at what came back, and certifies it.")
    {
        foreach (Option option in new Option[] { _backup, _at, _random, _queriesOnly, _work }.Concat(JobArguments.Options))
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
        });
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (JobArguments.IsJob(context))
        {
            (IReadOnlyList<RecoveryTestResult> tests, _) = await JobArguments.RunAsync<RecoveryTestResult>(
                context, JobArguments.CreateJobs(context, JobCommand.TestRecovery), null, cancellationToken).ConfigureAwait(false);
            return Finish(context, tests.Single());
        }

        ParseResult parsed = context.Parsed;
        Site site = context.LoadSite();
        IOperationObserver reading = context.CreatePlainObserver();
        Repository repository = await site.OpenForReadingAsync(context.Secrets, reading, cancellationToken).ConfigureAwait(false);
        string? work = parsed.GetValue(_work);
        RecoveryTestOptions options = site.CreateRecoveryTest(repository, work is null ? null : context.FullPath(work)) with
        {
            BackupId = parsed.GetValue(_backup),
            Target = parsed.GetValue(_at) is { } at ? RecoveryTarget.AtTime(InstantText.Parse(at)) : null,
            IsRandom = parsed.GetValue(_random),
            IsWhole = !parsed.GetValue(_queriesOnly),
        };
        RecoveryTestResult test = await context.ObserveAsync(
            observer => RecoveryTest.RunAsync(options, observer, cancellationToken)).ConfigureAwait(false);
        return Finish(context, test);
    }

    private static int Finish(CliContext context, RecoveryTestResult test)
    {
        context.Write(test, (writer, result) =>
        {
            TableOutput.Write(writer, result.Checks, s_columns, context.IsRichOut);
            writer.WriteLine();
            writer.WriteLine(
                result.RecoverySeconds is { } seconds
                    ? $"{result.Outcome}: recovered in {DisplayText.Seconds(seconds)}, looked at in {DisplayText.Seconds(result.CheckSeconds)}. Certificate {result.TestId}."
                    : $"{result.Outcome}. Certificate {result.TestId}.");
        });
        return test.Outcome == CheckOutcomes.Failed ? SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode : ExitCodes.Success;
    }
}
