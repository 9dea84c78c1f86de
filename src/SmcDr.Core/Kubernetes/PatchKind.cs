namespace SmcDr.Core.Kubernetes;

/// <summary>How a patch is meant.</summary>
public enum PatchKind
{
    /// <summary>RFC 7386: what is there is set, null removes, lists are replaced.</summary>
    Merge,

    /// <summary>RFC 6902: a list of operations.</summary>
    Json,

    /// <summary>Kubernetes' own: lists are merged by their keys. Built-in kinds only.</summary>
    Strategic,
}
