namespace SmcDr;

/// <summary>A part of a system that is backed up on its own.</summary>
public enum Component
{
    /// <summary>The PostgreSQL cluster.</summary>
    Database,

    /// <summary>The Redis server.</summary>
    Redis,

    /// <summary>The Kubernetes configuration.</summary>
    Configuration,

    /// <summary>A directory tree.</summary>
    FileStore,
}
