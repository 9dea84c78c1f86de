namespace SmcDr.Core.Dns;

/// <summary>How far a change is followed.</summary>
public sealed record DnsApplyOptions
{
    /// <summary>Whether it is waited for at all.</summary>
    public bool Wait { get; init; } = true;

    /// <summary>Whether the zone's own servers are asked.</summary>
    public bool AskServers { get; init; } = true;

    /// <summary>How long is waited for Route 53 and for the zone's servers together.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>What the application is asked for where the record leads then; null = it is not asked.</summary>
    public Uri? ProbeUrl { get; init; }

    /// <summary>The status that says that the application is well.</summary>
    public int ProbeStatus { get; init; } = 200;

    /// <summary>How long the application is given.</summary>
    public TimeSpan ProbeTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>What a result that was followed so has failed at; null where it has not. Its problems are told beside it.</summary>
    public SmcException? FindFailure(DnsChangeResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        return result.State switch
        {
            DnsStates.NotServed => new SmcException(
                SmcErrorCode.DnsNotServed,
                $"{result.Name} {result.Type} {(result.IsChanged ? "is changed" : "is as it should be")} in Route 53, and none of the zone's servers answers so. {FirstProblem(result)}".TrimEnd(),
                target: result.Name),
            DnsStates.Pending when Wait => new SmcException(
                SmcErrorCode.OperationTimedOut,
                $"{result.Name} {result.Type} is changed, and is not known to have come to all of Route 53's servers. {FirstProblem(result)}".TrimEnd(),
                recommendation: "Run the same command again: it changes nothing more, and asks the zone's servers. The result has what takes the change back.",
                target: result.Name),
            _ => null,
        };
    }

    /// <summary>The first pause between two questions to Route 53 of how far the change is; it grows up to <see cref="MaximumPollDelay"/>.</summary>
    internal TimeSpan PollDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest such pause.</summary>
    internal TimeSpan MaximumPollDelay { get; init; } = TimeSpan.FromSeconds(10);

    private static string FirstProblem(DnsChangeResult result) => result.Problems is [string first, ..] ? first : "";
}
