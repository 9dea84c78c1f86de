namespace SmcDr.Core.Dns;

/// <summary>How far a change is.</summary>
/// <param name="Id">Its id.</param>
/// <param name="IsInSync">Whether all of Route 53's own servers have it; what resolvers hold it does not tell.</param>
internal sealed record Route53Change(string Id, bool IsInSync);
