using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>A document of a backup.</summary>
/// <param name="Entry">Where it stands.</param>
/// <param name="Item">The object.</param>
/// <param name="Hash">The digest of the document.</param>
internal sealed record StoredDocument(ManifestEntry Entry, KubernetesObject Item, Hash256 Hash);
