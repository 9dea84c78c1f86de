using SmcDr.Core.Postgres;

namespace SmcDr.Core.Recovery;

/// <summary>A recovered cluster that runs isolated from production until this is disposed of: then nothing is left of it.</summary>
public interface ISideInstance : IAsyncDisposable
{
    /// <summary>What its recovery came to.</summary>
    RecoveryResult Recovery { get; }

    /// <summary>Opens connections to it.</summary>
    PostgresConnector Connector { get; }
}
