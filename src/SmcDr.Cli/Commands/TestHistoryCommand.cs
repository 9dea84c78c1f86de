using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Certification;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr test history</c>.</summary>
internal sealed class TestHistoryCommand : CliCommand
{
    private static readonly Column<RecoveryTestResult>[] s_columns =
    [
        new("Test", static test => test.TestId),
        new("Outcome", static test => test.Outcome),
        new("Backup", static test => test.BackupId),
        new("Recovered to", static test => DisplayText.Time(test.RecoveredTime)),
        new("Recovery", static test => DisplayText.Seconds(test.RecoverySeconds), IsNumber: true),
        new("Objective", static test => DisplayText.Seconds(test.ObjectiveSeconds), IsNumber: true),
        new("By", static test => test.By),
    ];

    private readonly Option<int> _count = new("--count", "-n")
    {
        Description = "At most how many, the newest. Default: 20.",
        HelpName = "N",
        DefaultValueFactory = static _ => 20,
    };

    public TestHistoryCommand(CliHost host)
        : base(host, "history", "Lists the certificates of tests of recovery, newest first.")
    {
        Options.Add(_count);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        IOperationObserver observer = context.CreatePlainObserver();
        Repository repository = await site.OpenForReadingAsync(context.Secrets, observer, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<RecoveryTestResult> tests = await RecoveryCertificates
            .ListAsync(repository, site.Name, context.Parsed.GetValue(_count), observer, cancellationToken).ConfigureAwait(false);
        context.WriteList(tests, s_columns, $"No recovery of '{site.Name}' was ever tested.");
        return ExitCodes.Success;
    }
}
