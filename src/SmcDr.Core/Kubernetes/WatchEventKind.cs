namespace SmcDr.Core.Kubernetes;

/// <summary>What a watch tells.</summary>
public enum WatchEventKind
{
    /// <summary>An object is there: it was when the watch began, or has come since.</summary>
    Added,

    /// <summary>An object was changed.</summary>
    Modified,

    /// <summary>An object is gone; its last state is given.</summary>
    Deleted,

    /// <summary>All that was there when the watch began, or began anew, has been told.</summary>
    Synced,

    /// <summary>
    /// The server no longer knows what happened since the last event. All that is there follows as <see cref="Added"/> up to <see cref="Synced"/>;
    /// what was told before and does not come again is gone.
    /// </summary>
    Restarted,
}
