namespace SmcDr.Core.Sites;

/// <summary>How the WAL stream works.</summary>
public sealed record WalStreamSettings : ISiteRules
{
    // Less would not hold what a server writes until somebody has read a warning.
    private const long MinimumSpill = 64L << 20;

    [SiteKey("A directory for WAL that the repository cannot take because it is full or away, used by nothing else; without it such WAL stays on the server.",
        Kind = SiteValueKind.Path)]
    public string? SpillDirectory { get; init; }

    [SiteKey("How much WAL may lie there, such as 50GiB; without it 10 GiB. More stays on the server.")]
    public long? SpillLimit { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (SpillLimit is not null && SpillDirectory is null)
        {
            yield return ("spillLimit", "is for a spillDirectory, and there is none");
        }

        if (SpillLimit < MinimumSpill)
        {
            yield return ("spillLimit", $"must be at least {SizeText.Format(MinimumSpill)}");
        }
    }
}
