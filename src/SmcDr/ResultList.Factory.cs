namespace SmcDr;

/// <summary>Makes the lists of results.</summary>
internal static class ResultList
{
    /// <summary>A list as results have it; null stays null, for what was read from a file of another version.</summary>
    public static IReadOnlyList<T> Of<T>(IReadOnlyList<T> items) => items is null or ResultList<T> ? items! : new ResultList<T>(items as IList<T> ?? [.. items]);
}
