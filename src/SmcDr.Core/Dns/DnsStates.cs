namespace SmcDr.Core.Dns;

/// <summary>The words of <see cref="DnsChangeResult.State"/> and <see cref="DnsRecordInfo.State"/>.</summary>
public static class DnsStates
{
    /// <summary>There was nothing to do, and nothing more was asked.</summary>
    public const string Unchanged = nameof(Unchanged);

    /// <summary>The change is made, and not everywhere yet.</summary>
    public const string Pending = nameof(Pending);

    /// <summary>Route 53 says that all of its servers have it.</summary>
    public const string InSync = nameof(InSync);

    /// <summary>All of the zone's servers answer so.</summary>
    public const string Served = nameof(Served);

    /// <summary>Some do, or the application does not answer.</summary>
    public const string Partial = nameof(Partial);

    /// <summary>None does.</summary>
    public const string NotServed = nameof(NotServed);

    /// <summary>The state that answers show; null where there are none that can be compared.</summary>
    internal static string? Of(IReadOnlyList<DnsServerAnswer> answers)
    {
        int current = answers.Count(static answer => answer.Outcome == DnsServerOutcomes.Current);
        int wrong = answers.Count(static answer => answer.Outcome is not (DnsServerOutcomes.Current or DnsServerOutcomes.Unknown));
        return (current, wrong) switch
        {
            (0, 0) => null,
            (_, 0) => Served,
            (0, _) when wrong == answers.Count => NotServed,
            _ => Partial,
        };
    }
}
