using System.Collections.Concurrent;
using Npgsql;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Several clients that insert a row in each transaction until the server goes, and remember what was acknowledged.</summary>
internal sealed class LoadOfWrites
{
    private readonly Task[] _clients;
    private readonly TimeSpan _pause;
    private volatile bool _isOver;

    /// <param name="server">The server.</param>
    /// <param name="clients">How many clients.</param>
    /// <param name="pause">How long each waits between two writes: without it, a busy machine may not bring the log as fast as it is written.</param>
    public LoadOfWrites(PostgresServer server, int clients = 3, TimeSpan pause = default)
        : this(() => server.OpenAsync(), clients, pause)
    {
    }

    public LoadOfWrites(string connectionString, int clients = 3)
        : this(() => OpenAsync(connectionString), clients)
    {
    }

    private LoadOfWrites(Func<Task<NpgsqlConnection>> open, int clients, TimeSpan pause = default)
    {
        _pause = pause;
        _clients = [.. Enumerable.Range(0, clients).Select(_ => Task.Run(() => WriteAsync(open)))];
    }

    /// <summary>The ids that a commit came back for.</summary>
    public ConcurrentBag<long> Acknowledged { get; } = [];

    /// <summary>Waits until so many were acknowledged.</summary>
    public Task UntilAsync(int count) => RegionLab.UntilAsync(() => Task.FromResult(Acknowledged.Count >= count), $"{count} writes");

    public async Task EndAsync()
    {
        _isOver = true;
        await Task.WhenAll(_clients);
    }

    private static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        NpgsqlConnection connection = new(connectionString);
        await connection.OpenAsync();
        return connection;
    }

    private async Task WriteAsync(Func<Task<NpgsqlConnection>> open)
    {
        try
        {
            await using NpgsqlConnection connection = await open();
            while (!_isOver)
            {
                await using NpgsqlCommand command = new("INSERT INTO t (v) VALUES ('load') RETURNING id", connection);
                Acknowledged.Add((long)(await command.ExecuteScalarAsync())!);
                await Task.Delay(_pause);
            }
        }
        catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException)
        {
            // The server has gone, or takes no writes any more.
        }
    }
}
