namespace SmcDr.Core.Kubernetes;

/// <summary>A part of the API that the cluster announces and cannot describe, since who serves it does not answer.</summary>
/// <param name="ApiVersion">The group and its version.</param>
/// <param name="Reason">Why, for people.</param>
public sealed record UnavailableApi(string ApiVersion, string Reason);
