namespace SmcDr.Core.Kubernetes;

/// <summary>What becomes of the objects that an object owns.</summary>
public enum DeletePropagation
{
    /// <summary>They are deleted after it.</summary>
    Background,

    /// <summary>They are deleted before it.</summary>
    Foreground,

    /// <summary>They stay, without an owner.</summary>
    Orphan,
}
