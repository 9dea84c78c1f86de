namespace SmcDr;

/// <summary>A field of an object in Kubernetes in which two states of it differ.</summary>
/// <param name="Path">The field, such as <c>spec.template.spec.containers[name=web].image</c>.</param>
/// <param name="Old">What it was, as text of bounded length; null where it was not there, <c>(hidden)</c> for what a Secret holds.</param>
/// <param name="New">What it is, or becomes; null where it is not there, <c>(hidden)</c> for what a Secret holds.</param>
public sealed record ConfigurationFieldChange(string Path, string? Old, string? New)
{
    /// <summary>The change in words, such as <c>spec.replicas: 2 → 3</c>.</summary>
    public override string ToString() => $"{Path}: {Old ?? "(none)"} → {New ?? "(none)"}";
}
