using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Verification;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr test backup</c>.</summary>
internal sealed class TestBackupCommand : CliCommand
{
    private static readonly Column<BackupTestResult>[] s_columns =
    [
        new("Outcome", static result => result.Outcome),
        new("Backup", static result => result.Id),
        new("Component", static result => result.Component),
        new("Objects", static result => result.ObjectCount.ToString(CultureInfo.InvariantCulture), IsNumber: true),
        new("Read", static result => DisplayText.Size(result.CheckedBytes), IsNumber: true),
        new("Problems", static result => string.Join(' ', result.Problems)),
    ];

    private readonly Argument<string[]> _ids = new("id")
    {
        Description = "The backups. Default: all that count as complete.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<Component?> _component = BackupArguments.NewComponent();
    private readonly Option<bool> _deep = new("--deep") { Description = "Read every byte, and compare it with its digest." };
    private readonly Option<TimeSpan?> _within = BackupArguments.NewDuration(
        "--verified-within", "With --deep, do not read again what was found right within this time.");

    private readonly Option<TimeSpan?> _newerThan = BackupArguments.NewDuration(
        "--newer-than", "Everything of the site must have a backup that began within this time; of each only that one is verified. A database needs a physical one.");

    public TestBackupCommand(CliHost host)
        : base(host, "backup", "Verifies backups: whether all that they need is there, or that every byte is right.")
    {
        Arguments.Add(_ids);
        Options.Add(_component);
        Options.Add(_deep);
        Options.Add(_within);
        Options.Add(_newerThan);
        foreach (Option option in JobArguments.Options)
        {
            Options.Add(option);
        }

        Validators.Add(JobArguments.Validate);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (JobArguments.IsJob(context))
        {
            (IReadOnlyList<BackupTestResult> tested, int? failure) = await JobArguments.RunAsync<BackupTestResult>(
                context,
                await JobArguments.CreateJobsAsync(context, JobCommand.TestBackup, null, cancellationToken).ConfigureAwait(false),
                null,
                cancellationToken).ConfigureAwait(false);
            return failure ?? Finish(context, tested);
        }

        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        List<(Component Component, string Id)> backups = [];
        foreach (string id in context.Parsed.GetValue(_ids) ?? [])
        {
            Component component = await repository
                .FindComponentAsync(id, context.Parsed.GetValue(_component), cancellationToken).ConfigureAwait(false);
            backups.Add((component, id));
        }

        List<BackupTestResult> results = await context.ObserveAsync(async observer =>
        {
            BackupVerification verification = new(
                repository,
                new BackupVerificationOptions { Deep = context.Parsed.GetValue(_deep), VerifiedWithin = context.Parsed.GetValue(_within) },
                observer);
            List<BackupTestResult> found = [];
            bool isAll = backups.Count == 0;
            if (context.Parsed.GetValue(_newerThan) is { } newerThan)
            {
                foreach (BackupTestResult result in await verification
                    .CheckAgeAsync(site.GetExpectedBackups(), newerThan, cancellationToken).ConfigureAwait(false))
                {
                    if (result.Outcome != "Passed")
                    {
                        found.Add(result);
                    }
                    else if (isAll)
                    {
                        backups.Add((Enum.Parse<Component>(result.Component), result.Id));
                    }
                }

                isAll = false;
            }

            await foreach (BackupTestResult result in (isAll
                ? verification.RunAsync(cancellationToken)
                : verification.RunAsync(backups, cancellationToken)).ConfigureAwait(false))
            {
                found.Add(result);
            }

            return found;
        }).ConfigureAwait(false);

        return Finish(context, results);
    }

    private static int Finish(CliContext context, IReadOnlyList<BackupTestResult> results)
    {
        context.WriteList(
            [.. results.OrderBy(static result => result.Id, StringComparer.Ordinal)], s_columns, "There are no backups to verify.");
        BackupTestResult[] failed = [.. results.Where(static result => result.Outcome == "Failed")];
        return failed.Length == 0 ? ExitCodes.Success
            : SmcErrors.Get(failed.All(static result => result.Problems.All(static problem => problem.Code == "SmcBackupOutdated"))
                ? SmcErrorCode.BackupOutdated
                : SmcErrorCode.BackupTestFailed).ExitCode;
    }
}
