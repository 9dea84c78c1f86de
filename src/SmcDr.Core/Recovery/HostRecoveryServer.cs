using System.Globalization;
using System.Text;
using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Recovery;

/// <summary>The server of a recovery on this host, reached through a socket that only its account sees.</summary>
internal sealed class HostRecoveryServer : IRecoveryServer
{
    private const int SocketPort = 5432;

    // sun_path in sys/un.h, with its end.
    private const int MaximumSocketPath = 107;

    private static readonly TimeSpan s_stopLimit = TimeSpan.FromMinutes(10);
    private readonly HostServer _server;
    private readonly string _socket;
    private readonly string? _temporary;

    /// <param name="server">The server.</param>
    /// <param name="directory">Where its socket goes, unless the path is too long for one.</param>
    public HostRecoveryServer(HostServer server, string directory)
    {
        _server = server;
        _socket = directory;
        if (Encoding.UTF8.GetByteCount(directory) + $"/.s.PGSQL.{SocketPort}".Length > MaximumSocketPath)
        {
            _socket = _temporary = Directory.CreateTempSubdirectory("smcdr-").FullName;
            server.GiveToAccount(_temporary);
        }

        ConnectionSettings = new Dictionary<string, string>
        {
            ["listen_addresses"] = "",
            ["unix_socket_directories"] = _socket,
            ["port"] = SocketPort.ToString(CultureInfo.InvariantCulture),
        };
    }

    public string LogFile => _server.LogFile;

    public int Major => _server.Programs.Major;

    public IReadOnlyDictionary<string, string> ConnectionSettings { get; }

    public PostgresConnector CreateConnector(string superuser) => new(new NpgsqlConnectionStringBuilder
    {
        Host = _socket,
        Port = SocketPort,
        Username = superuser,
        Database = "template1",
        SslMode = SslMode.Disable,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString);

    public Task StartAsync(
        IReadOnlyDictionary<string, string> settings, ReplayLog log, Action tick, TimeSpan? timeLimit, CancellationToken cancellationToken) =>
        _server.StartAsync(
            settings,
            running =>
            {
                log.Update(LogFile);
                tick();
                return running.IsReady;
            },
            timeLimit,
            cancellationToken);

    public Task StopAsync(StopMode mode, CancellationToken cancellationToken) => _server.StopAsync(mode, s_stopLimit, cancellationToken);

    public Task EndAsync() => _server.EndAsync();

    public Task UpdateAsync(ReplayLog log, CancellationToken cancellationToken)
    {
        log.Update(LogFile);
        return Task.CompletedTask;
    }

    public Task<string> QuoteLogAsync() => Task.FromResult(_server.QuoteLog(0));

    public async Task<uint> ReadTimelineAsync(CancellationToken cancellationToken) =>
        (await ControlFile.ReadAsync(_server.DataDirectory, cancellationToken).ConfigureAwait(false)).Timeline;

    public ValueTask DisposeAsync()
    {
        if (_temporary is not null)
        {
            RecoveryState.DeleteDirectory(_temporary);
        }

        return ValueTask.CompletedTask;
    }
}
