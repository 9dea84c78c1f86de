namespace SmcDr.Core.Drills;

/// <summary>What a recovery brought back, against what the server had acknowledged.</summary>
public sealed record DrillComparison
{
    private const int NamedIds = 10;

    /// <summary>What was recovered from, such as <c>Data dropped</c>.</summary>
    public required string Name { get; init; }

    /// <summary>What a row is called, in the singular; its plural ends with s.</summary>
    public string Noun { get; init; } = "row";

    /// <summary>The instant up to which rows must be there and after which none may.</summary>
    public required DateTimeOffset Cutoff { get; init; }

    /// <summary>Rows whose commit was acknowledged up to the cutoff.</summary>
    public required long Acknowledged { get; init; }

    /// <summary>Of those, the rows that are there.</summary>
    public required long Recovered { get; init; }

    /// <summary>Rows on their way at the cutoff: sent before it and not acknowledged by then. They may be there or not.</summary>
    public required long Undecided { get; init; }

    /// <summary>The acknowledged rows that are not there, oldest first.</summary>
    public required IReadOnlyList<DrillCommit> Lost { get; init; }

    /// <summary>Rows that are there and should not be: committed after the cutoff, or never written. In ascending order.</summary>
    public required IReadOnlyList<long> Unexpected { get; init; }

    /// <summary>
    /// Lost rows behind which the same writer has a later row that is there. WAL is lost from its end: a hole in its middle is
    /// damage, however short the time that is missing.
    /// </summary>
    public required IReadOnlyList<long> Holes { get; init; }

    /// <summary>Measured loss: from the earliest lost acknowledgement to the cutoff; zero where nothing is lost.</summary>
    public TimeSpan Loss => Lost.Count == 0 ? TimeSpan.Zero : Cutoff - Lost[0].AcknowledgedTime!.Value;

    /// <summary>Compares the rows that writers sent with the ids that were found after the recovery.</summary>
    /// <param name="name">What was recovered from.</param>
    /// <param name="written">Every row that was sent, acknowledged or not; each writer's in the order of sending.</param>
    /// <param name="found">The ids that are there.</param>
    /// <param name="cutoff">The recovery's target time, or the instant of the disaster.</param>
    /// <remarks>
    /// What was acknowledged up to the cutoff has its commit record before any that is later than the cutoff, so replay to that
    /// time includes it; a commit that is later ends the replay (recoveryStopsBefore in PostgreSQL's xlogrecovery.c) and is not
    /// included. Only rows that were on their way at the cutoff may fall on either side.
    /// </remarks>
    public static DrillComparison Compare(
        string name, IEnumerable<DrillCommit> written, IReadOnlySet<long> found, DateTimeOffset cutoff)
    {
        ArgumentNullException.ThrowIfNull(written);
        ArgumentNullException.ThrowIfNull(found);
        long acknowledged = 0;
        long undecided = 0;
        List<DrillCommit> lost = [];
        List<long> holes = [];
        SortedSet<long> unexpected = [];
        HashSet<long> known = [];
        Dictionary<int, List<long>> lostOfWriter = [];
        foreach (DrillCommit row in written)
        {
            known.Add(row.Id);
            bool isThere = found.Contains(row.Id);
            if (isThere)
            {
                if (lostOfWriter.Remove(row.Writer, out List<long>? before))
                {
                    holes.AddRange(before);
                }

                if (row.SentTime > cutoff || row.CommitTime > cutoff)
                {
                    unexpected.Add(row.Id);
                }
            }

            if (row.AcknowledgedTime <= cutoff)
            {
                acknowledged++;
                if (!isThere)
                {
                    lost.Add(row);
                    if (!lostOfWriter.TryGetValue(row.Writer, out List<long>? ids))
                    {
                        lostOfWriter[row.Writer] = ids = [];
                    }

                    ids.Add(row.Id);
                }
            }
            else if (row.SentTime <= cutoff)
            {
                undecided++;
            }
        }

        unexpected.UnionWith(found.Where(id => !known.Contains(id)));
        lost.Sort(static (a, b) => a.AcknowledgedTime!.Value.CompareTo(b.AcknowledgedTime!.Value));
        return new DrillComparison
        {
            Name = name,
            Cutoff = cutoff,
            Acknowledged = acknowledged,
            Recovered = acknowledged - lost.Count,
            Undecided = undecided,
            Lost = lost,
            Unexpected = [.. unexpected],
            Holes = holes,
        };
    }

    /// <summary>Whether the recovery kept its promise.</summary>
    /// <param name="allowance">How much of the time before the cutoff may be missing; zero = no row at all.</param>
    public bool Holds(TimeSpan allowance) => Unexpected.Count == 0 && Holes.Count == 0 && IsLossWithin(allowance);

    /// <summary>Whether no more is lost than may be.</summary>
    /// <param name="allowance">How much of the time before the cutoff may be missing; zero = no row at all.</param>
    public bool IsLossWithin(TimeSpan allowance) => Lost.Count == 0 || (allowance > TimeSpan.Zero && Loss <= allowance);

    /// <summary>The comparison in a sentence or two; names the ids where there are any to name.</summary>
    public string Describe()
    {
        string text = Lost.Count == 0
            ? FormattableString.Invariant($"All {Acknowledged:N0} acknowledged {Noun}s are there.")
            : FormattableString.Invariant(
                $"{Lost.Count:N0} of {Acknowledged:N0} acknowledged {Noun}s {(Lost.Count == 1 ? "is" : "are")} missing, the earliest acknowledged {Loss.TotalSeconds:0.000} s before the cutoff: {NameSome(Lost.Select(static row => row.Id), Lost.Count)}.");
        if (Holes.Count > 0)
        {
            text += FormattableString.Invariant(
                $" {Holes.Count:N0} of them {(Holes.Count == 1 ? "has" : "have")} later {Noun}s of the same writer behind them: {NameSome(Holes, Holes.Count)}.");
        }

        return text + (Unexpected.Count == 0
            ? " None is there that should not be."
            : FormattableString.Invariant(
                $" {Unexpected.Count:N0} {Noun}{(Unexpected.Count == 1 ? " is" : "s are")} there that should not be: {NameSome(Unexpected, Unexpected.Count)}."));

        static string NameSome(IEnumerable<long> ids, int count) =>
            string.Join(", ", ids.Take(NamedIds).Select(static id => FormattableString.Invariant($"{id}"))) +
            (count > NamedIds ? FormattableString.Invariant($" and {count - NamedIds:N0} more") : "");
    }
}
