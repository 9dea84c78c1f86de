namespace SmcDr.Core.Postgres.Preparation;

/// <summary>A change of the server that somebody is asked about before it is made.</summary>
/// <param name="Item">What it is about, as <see cref="PreparationItem.Item"/>.</param>
/// <param name="Current">What there is.</param>
/// <param name="Wanted">What there is to be.</param>
/// <param name="Statement">The statement, without secrets.</param>
public sealed record PreparationChange(string Item, string? Current, string Wanted, string Statement);
