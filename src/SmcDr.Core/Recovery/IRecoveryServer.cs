using SmcDr.Core.Postgres;

namespace SmcDr.Core.Recovery;

/// <summary>
/// The server that replays a recovery, while nobody but the recovery reaches it: on this host, or in a helper pod. Disposing of it leaves the server as
/// it is and removes what only connecting to it needed.
/// </summary>
internal interface IRecoveryServer : IAsyncDisposable
{
    /// <summary>The log, for messages.</summary>
    string LogFile { get; }

    /// <summary>The major version of its programs.</summary>
    int Major { get; }

    /// <summary>Settings that say how the recovery reaches it.</summary>
    IReadOnlyDictionary<string, string> ConnectionSettings { get; }

    /// <summary>Opens connections to it as a superuser.</summary>
    PostgresConnector CreateConnector(string superuser);

    /// <summary>
    /// Starts it, and returns when it takes connections. Meanwhile <paramref name="log"/> is kept up to date. On cancellation or failure what was started
    /// is stopped again.
    /// </summary>
    /// <param name="tick">Called several times a second, or as often as the log can be read.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ServerStartFailed"/>, <see cref="SmcErrorCode.OperationTimedOut"/>.</exception>
    Task StartAsync(
        IReadOnlyDictionary<string, string> settings, ReplayLog log, Action tick, TimeSpan? timeLimit, CancellationToken cancellationToken);

    /// <summary>Stops it and waits until it is gone. None that runs is no error.</summary>
    Task StopAsync(StopMode mode, CancellationToken cancellationToken);

    /// <summary>Ends it as fast as it goes, whatever state it is in. None that runs is no error.</summary>
    Task EndAsync();

    /// <summary>Reads what the log has got since.</summary>
    Task UpdateAsync(ReplayLog log, CancellationToken cancellationToken);

    /// <summary>The end of the log as it may stand in a message: without statements, which can hold secrets.</summary>
    Task<string> QuoteLogAsync();

    /// <summary>The timeline that its control file names.</summary>
    Task<uint> ReadTimelineAsync(CancellationToken cancellationToken);
}
