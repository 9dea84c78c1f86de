namespace SmcDr.Core.Repositories;

/// <summary>Something that belongs to a configuration and could not be read when it was backed up.</summary>
/// <param name="What">A kind such as <c>secrets</c>, a version of the API, or an object.</param>
/// <param name="Reason">Why, for people.</param>
public sealed record ConfigurationGap(string What, string Reason);
