namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>What became, or would become, of an object.</summary>
/// <param name="Action"><c>Create</c>, <c>Change</c>, <c>Replace</c>, <c>Same</c> or <c>Skip</c>.</param>
/// <param name="Changes">The fields that change.</param>
internal sealed record ObjectOutcome(string Action, IReadOnlyList<ObjectDifference> Changes)
{
    public const string Create = nameof(Create);
    public const string Change = nameof(Change);
    public const string Replace = nameof(Replace);
    public const string Same = nameof(Same);
    public const string Skip = nameof(Skip);

    /// <summary>What could not be done, whatever it would have been.</summary>
    public const string Restore = nameof(Restore);

    /// <summary>Whether it was not done, since nobody asked for a replacement.</summary>
    public bool NeedsReplace { get; init; }

    public string? Detail { get; init; }
}
