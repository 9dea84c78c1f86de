namespace SmcDr.Core.Kubernetes;

/// <summary>One of the causes of a failure.</summary>
/// <param name="Reason">Why, in one word.</param>
/// <param name="Message">Why, for people.</param>
/// <param name="Field">The field concerned, such as <c>spec.replicas</c>.</param>
public sealed record KubernetesStatusCause(string Reason, string Message, string Field);
