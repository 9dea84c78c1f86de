namespace SmcDr.Core.Redis.Offline;

/// <summary>How far an offline restore is; each is journaled once what it names is done and durable.</summary>
internal enum OfflinePhase
{
    /// <summary>Nothing but the journal.</summary>
    Begun,

    /// <summary>What the server will load lies in its data directory, under another name.</summary>
    Fetched,

    /// <summary>The server is gone.</summary>
    Stopped,

    /// <summary>What it had lies aside.</summary>
    SetAside,

    /// <summary>What it will load has its name.</summary>
    Placed,

    /// <summary>It has loaded that.</summary>
    Loaded,
}
