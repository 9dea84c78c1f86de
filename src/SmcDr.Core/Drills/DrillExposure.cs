using System.Net.Sockets;
using Npgsql;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Drills;

/// <summary>Reads several times a second how much WAL is at risk, until it is stopped or the server is gone.</summary>
internal sealed class DrillExposure : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;

    private DrillExposure(NpgsqlConnection connection, Func<Lsn> repository, Action<DrillSample> onSample)
    {
        _work = Task.Run(() => ReadAsync(connection, repository, onSample));
    }

    /// <summary>Opens a connection and begins to read.</summary>
    public static async Task<DrillExposure> StartAsync(
        PostgresConnector connector, Func<Lsn> repository, Action<DrillSample> onSample, CancellationToken cancellationToken) =>
        new(await connector.OpenAsync(cancellationToken).ConfigureAwait(false), repository, onSample);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task ReadAsync(NpgsqlConnection connection, Func<Lsn> repository, Action<DrillSample> onSample)
    {
        ExposureMeter meter = new();
        using PeriodicTimer timer = new(s_interval);
        try
        {
            await using (connection.ConfigureAwait(false))
            {
                while (!_stop.IsCancellationRequested)
                {
                    Lsn durable = repository();
                    Lsn server = Lsn.Parse(await DrillDatabase.ScalarAsync<string>(
                        connection, "SELECT pg_current_wal_flush_lsn()::text", CancellationToken.None).ConfigureAwait(false));
                    DateTimeOffset now = DateTimeOffset.UtcNow;
                    onSample(new DrillSample(now, meter.Read(now, server, durable).TotalSeconds));
                    await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or NpgsqlException or SocketException or IOException)
        {
            // It was stopped, or the server is gone: there is nothing more to read.
        }
    }
}
