using SmcDr.Core.Recovery;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>What will be done to make a region follow another one. Making it changes nothing.</summary>
public sealed record RegionReplicaPlan
{
    /// <summary>What was asked for.</summary>
    public required RegionReplicaRequest Request { get; init; }

    /// <summary>The region that follows.</summary>
    public required RegionSettings Follower { get; init; }

    /// <summary>The region that leads.</summary>
    public required RegionSettings Leader { get; init; }

    /// <summary>Whether something that is there now is lost, or not in its place afterwards.</summary>
    public bool IsDestructive => Recovery is { IsDestructive: true } || RedisKeys > 0;

    /// <summary>Whether there is nothing to do but to look.</summary>
    public bool IsUnchanged => Recovery is null && Changes.Count == 0;

    internal IReadOnlyList<string> Changes { get; init; } = [];

    internal StandbySource? Source { get; init; }

    internal string? DataDirectory { get; init; }

    /// <summary>How the standby is made; null where it is there.</summary>
    internal RecoveryPlan? Recovery { get; init; }

    internal PostgresPrograms? Programs { get; init; }

    internal OsAccount? Account { get; init; }

    /// <summary>The keys that a Redis has which is to become a replica.</summary>
    internal long RedisKeys { get; init; }

    internal bool HasRedis { get; init; }

    /// <summary>The plan in lines, for an operator to read before saying yes.</summary>
    public IEnumerable<string> Describe()
    {
        foreach (string change in Changes)
        {
            yield return change;
        }

        if (Recovery is not null)
        {
            foreach (string line in Recovery.DescribeRecovery(DataDirectory!))
            {
                yield return line;
            }

            yield return "Start the server as a standby: it replays the WAL of the repository and then follows the primary.";
            foreach (string warning in Recovery.Warnings)
            {
                yield return $"Note: {warning}";
            }
        }

        if (IsUnchanged)
        {
            yield return $"The region '{Follower.Name}' follows '{Leader.Name}' already.";
        }
    }
}
