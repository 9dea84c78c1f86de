using System.CommandLine;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Cli.Commands;

/// <summary>The options of commands that begin a plan or go on with one.</summary>
internal sealed class PlanArguments
{
    private readonly Option<bool> _resume = new("--resume")
    {
        Description = "Go on with the newest unfinished plan of this command, whatever else is asked for here.",
    };

    private readonly Option<string?> _planId = new("--plan") { Description = "Go on with this unfinished plan.", HelpName = "ID" };
    private readonly Option<bool> _abandon = new("--abandon-unfinished") { Description = "Give up plans that were not finished. What they have done stays." };
    private readonly Option<bool> _noJournal = new("--no-journal")
    {
        Description = "Keep neither journal nor lease: for a repository that takes nothing. Nobody can resume the plan then.",
    };

    private readonly Option<bool> _breakLease = new("--break-lease") { Description = "Take the site's lease from an operation that still has it." };
    private readonly Option<int?> _parallelism = new("--parallelism", "-j")
    {
        Description = "How many steps are at work at a time. Default: 4.",
        HelpName = "N",
    };


    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show the plan with predicted durations, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    /// <summary>What every command with a plan takes.</summary>
    public IEnumerable<Option> Common => [_breakLease, _parallelism, _dryRun, _yes, GlobalOptions.Json];

    /// <summary>What a command that begins one takes.</summary>
    public IEnumerable<Option> All => [_resume, _planId, _abandon, _noJournal, .. Common];

    public bool IsDryRun(ParseResult parsed) => parsed.GetValue(_dryRun);

    public bool IsConfirmed(ParseResult parsed) => parsed.GetValue(_yes);

    /// <param name="parsed">The command line.</param>
    /// <param name="planId">The plan, where the command takes it as an argument.</param>
    public SitePlanOptions Options(ParseResult parsed, string? planId = null) => new()
    {
        Resume = parsed.GetValue(_resume),
        PlanId = planId ?? parsed.GetValue(_planId),
        AbandonUnfinished = parsed.GetValue(_abandon),
        NoJournal = parsed.GetValue(_noJournal),
        BreakLease = parsed.GetValue(_breakLease),
        Parallelism = parsed.GetValue(_parallelism),
    };
}
