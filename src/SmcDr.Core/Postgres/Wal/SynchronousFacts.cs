namespace SmcDr.Core.Postgres.Wal;

/// <summary>Whether commits wait for the repository.</summary>
/// <param name="State">As <see cref="WalStreamStatus.SynchronousState"/>.</param>
/// <param name="BreachCount">How often they stopped waiting.</param>
/// <param name="DegradedSince">Since when they do not.</param>
internal sealed record SynchronousFacts(string State, int BreachCount, DateTimeOffset? DegradedSince);
