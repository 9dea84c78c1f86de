namespace SmcDr.Core.Recovery;

/// <summary>How a server is stopped.</summary>
public enum StopMode
{
    /// <summary>Connections are ended, a checkpoint is written.</summary>
    Fast,

    /// <summary>At once and without a checkpoint; the next start replays WAL.</summary>
    Immediate,
}
