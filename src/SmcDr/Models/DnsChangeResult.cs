namespace SmcDr;

/// <summary>A change of DNS records, how far it has come, and what takes it back.</summary>
public sealed record DnsChangeResult
{
    /// <summary>The name, such as <c>api.example.com</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The type; several, such as <c>A, AAAA</c>, where the name has addresses of both kinds.</summary>
    public required string Type { get; init; }

    /// <summary>
    /// <c>Served</c>: all of the zone's servers answer so; <c>Partial</c>: some do, or the application does not answer; <c>NotServed</c>: none
    /// does; <c>InSync</c>: Route 53 says that they do, and they were not asked; <c>Pending</c>: the change is made, and Route 53 has not brought
    /// it to all of its servers yet; <c>Unchanged</c>: there was nothing to do, and nothing more was asked.
    /// </summary>
    public required string State { get; init; }

    /// <summary>Whether something was changed.</summary>
    public required bool IsChanged { get; init; }

    /// <summary>The record sets before, in words.</summary>
    public required string Before { get; init; }

    /// <summary>The record sets now, in words.</summary>
    public required string After { get; init; }

    /// <summary>The region of the site that the name leads to now; null where it is none of them, or several.</summary>
    public string? Region { get; init; }

    /// <summary>The hosted zone's id.</summary>
    public required string ZoneId { get; init; }

    /// <summary>Route 53's id of the change.</summary>
    public string? ChangeId { get; init; }

    /// <summary>When Route 53 took the change, in UTC.</summary>
    public DateTimeOffset? SubmittedTime { get; init; }

    /// <summary>When Route 53 said that all of its servers have it, in UTC.</summary>
    public DateTimeOffset? InSyncTime { get; init; }

    /// <summary>When all of the zone's servers answered so, in UTC.</summary>
    public DateTimeOffset? ServedTime { get; init; }

    /// <summary>How long all of it took.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>How long all of it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>What each of the zone's servers answered last. Empty where they were not asked.</summary>
    public IReadOnlyList<DnsServerAnswer> Servers { get; init => field = ResultList.Of(value); } = new ResultList<DnsServerAnswer>([]);

    /// <summary>The address under which the application was probed.</summary>
    public string? ProbeUrl { get; init; }

    /// <summary>The HTTP status that the application answered with; null where it was not probed or did not answer.</summary>
    public int? ProbeStatus { get; init; }

    /// <summary>For how long resolvers may keep the old answer after the zone's servers have stopped giving it, in seconds.</summary>
    public int? OldAnswerSeconds { get; init; }

    /// <summary>Until when resolvers that keep to the TTL may give the old answer, in UTC. Some keep answers longer.</summary>
    public DateTimeOffset? OldAnswerUntil { get; init; }

    /// <summary>What is not as it should be, in sentences.</summary>
    public IReadOnlyList<string> Problems { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>The record sets before and after as JSON, which Set-SmcDnsRecord -Undo and 'smcdr dns undo' take. Null where nothing was changed.</summary>
    public string? Undo { get; init; }
}
