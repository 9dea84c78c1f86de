using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Dns;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary>What the commands that change DNS records have in common: how far a change is followed, the question, and the result.</summary>
internal sealed class DnsChangeOutput
{
    private static readonly Column<DnsServerAnswer>[] s_servers =
    [
        new("Server", static answer => answer.Server),
        new("Type", static answer => answer.Type),
        new("Outcome", static answer => answer.Outcome),
        new("Answer", static answer => answer.Problem ?? string.Join(", ", answer.Values)),
    ];

    private readonly Option<bool> _noWait = new("--no-wait") { Description = "End when Route 53 has taken the change, and follow it no further." };
    private readonly Option<bool> _skipAuthoritative = new("--skip-authoritative") { Description = "Do not ask the zone's own servers." };
    private readonly Option<bool> _skipProbe = new("--skip-probe") { Description = "Do not ask the application." };
    private readonly Option<TimeSpan?> _timeout = BackupArguments.NewDuration("--timeout", "How long to wait for Route 53 and the zone's servers together.");
    private readonly Option<string?> _probe = new("--probe")
    {
        Description = "The address that the application is asked for at the new place. Default: the site's.",
        HelpName = "URL",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would change, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public IEnumerable<Option> Options =>
        [_noWait, _skipAuthoritative, _timeout, _probe, _skipProbe, _dryRun, _yes, GlobalOptions.Json];

    /// <summary>Makes a plan, asks, carries it out, and tells the result.</summary>
    public async Task<int> RunAsync(
        CliContext context, Site site, Func<DnsRecords, Task<DnsChangePlan>> makePlan, CancellationToken cancellationToken)
    {
        DnsChangePlan plan = await UseAsync(makePlan).ConfigureAwait(false);
        DnsApplyOptions options = site.CreateDnsApplyOptions(plan.Name, context.Parsed.GetValue(_probe));
        options = options with
        {
            Wait = !context.Parsed.GetValue(_noWait),
            AskServers = !context.Parsed.GetValue(_skipAuthoritative),
            Timeout = context.Parsed.GetValue(_timeout) ?? options.Timeout,
            ProbeUrl = context.Parsed.GetValue(_skipProbe) ? null : options.ProbeUrl,
        };
        string description = plan.Describe();
        if (context.Parsed.GetValue(_dryRun))
        {
            context.Write(plan.Changes, (writer, _) => writer.WriteLine(description));
            return ExitCodes.Success;
        }

        if (plan.Changes.Count > 0 && !await context.ConfirmAsync(description, context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        DnsChangeResult result = await UseAsync(records => records.ApplyAsync(plan, options, cancellationToken)).ConfigureAwait(false);
        context.Write(result, Write);
        if (options.FindFailure(result) is { } failure)
        {
            ErrorText.Write(context.Host.Error, failure);
            return SmcErrors.Get(failure.Code).ExitCode;
        }

        foreach (string problem in result.Problems)
        {
            await context.Host.Error.WriteLineAsync($"Warning: {ErrorText.OneLine(problem)}").ConfigureAwait(false);
        }

        return result.State == DnsStates.Partial ? ExitCodes.Partial : ExitCodes.Success;

        // A question between two displays of progress, not within one.
        Task<T> UseAsync<T>(Func<DnsRecords, Task<T>> work) => context.ObserveAsync(async observer =>
        {
            using DnsRecords records = site.CreateDns(observer);
            return await work(records).ConfigureAwait(false);
        });
    }

    private static void Write(TextWriter writer, DnsChangeResult result)
    {
        TableOutput.WriteProperties(
            writer,
            ("Record", $"{result.Name} {result.Type}"),
            ("State", result.IsChanged ? result.State : $"{result.State}, nothing was changed"),
            ("Before", result.IsChanged ? result.Before : null),
            ("Now", result.After),
            ("Region", result.Region),
            ("Application", result.ProbeStatus is int status ? $"{status} {result.ProbeUrl}" : null),
            ("Old answer", result.OldAnswerUntil is { } until
                ? $"by resolvers until {DisplayText.Time(until)}"
                : result.OldAnswerSeconds is int seconds ? $"by resolvers for {DisplayText.Seconds(seconds)} after all servers have the change" : null),
            ("Change", result.ChangeId),
            ("Took", DisplayText.Duration(result.Duration)),
            ("Undo", result.Undo));
        if (result.Servers.Count > 0)
        {
            TableOutput.Write(writer, result.Servers, s_servers, isRich: false);
        }
    }
}
