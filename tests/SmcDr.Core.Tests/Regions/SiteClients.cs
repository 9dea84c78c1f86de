using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;
using SmcDr.Core.Dns;
using SmcDr.Core.Tests.Redis;

namespace SmcDr.Core.Tests.Regions;

/// <summary>
/// The clients of a site: they ask the zone's server where the site is, write to the database and to the Redis that they are led to, and remember what was
/// acknowledged. What fails they try again, wherever they are led to then.
/// </summary>
/// <remarks>Each write has a name of its own, made by its client: ids of a sequence are given again by a new primary that lacks the last of the old one.</remarks>
internal sealed class SiteClients : IAsyncDisposable
{
    private readonly DnsServerClient _dns = new() { Silence = TimeSpan.FromMilliseconds(300), Attempts = 2 };
    private readonly DnsName _record;
    private readonly IPEndPoint _server;
    private readonly IReadOnlyDictionary<string, Place> _places;
    private readonly Task[] _clients;
    private int _names;
    private volatile bool _isOver;

    /// <param name="record">The site's record.</param>
    /// <param name="server">A server of its zone.</param>
    /// <param name="places">What the record's values stand for.</param>
    /// <param name="clients">How many there are of the database, and as many of Redis.</param>
    public SiteClients(string record, IPEndPoint server, IReadOnlyDictionary<string, Place> places, int clients = 2)
    {
        (_record, _server, _places) = (DnsName.Parse(record), server, places);
        _clients =
        [
            .. Enumerable.Range(1, clients).Select(client => Task.Run(() => GoOnAsync(place => WriteRowsAsync($"row-{client}", place)))),
            .. Enumerable.Range(1, clients).Select(client => Task.Run(() => GoOnAsync(place => WriteKeysAsync($"key-{client}", place)))),
        ];
    }

    /// <summary>The rows whose commit was acknowledged.</summary>
    public ConcurrentQueue<RowWrite> Rows { get; } = [];

    /// <summary>The keys whose SET was acknowledged.</summary>
    public ConcurrentQueue<KeyWrite> Keys { get; } = [];

    /// <summary>Where the zone's server says that the site is.</summary>
    public async Task<string> ResolveAsync() =>
        (await _dns.AskAsync(_server, _record, "CNAME", default)).Values is [{ } value] ? value.TrimEnd('.') : "";

    /// <summary>Waits until so many more rows and keys were acknowledged by a region.</summary>
    public async Task UntilMoreAsync(string region, int count)
    {
        (int rows, int keys) = (CountRows(region), CountKeys(region));
        await RegionLab.UntilAsync(
            () => Task.FromResult(CountRows(region) >= rows + count && CountKeys(region) >= keys + count), $"{count} more writes in {region}");
    }

    public async Task EndAsync()
    {
        _isOver = true;
        await Task.WhenAll(_clients);
    }

    public async ValueTask DisposeAsync() => await EndAsync();

    private int CountRows(string region) => Rows.Count(write => write.Region == region);

    private int CountKeys(string region) => Keys.Count(write => write.Region == region);

    private async Task GoOnAsync(Func<Place, Task> write)
    {
        while (!_isOver)
        {
            try
            {
                if (_places.TryGetValue(await ResolveAsync(), out Place? place))
                {
                    await write(place);
                }
            }
            catch (Exception e) when (e is NpgsqlException or RedisTestException or IOException or SocketException or TimeoutException
                or InvalidDataException or InvalidOperationException)
            {
                // A server has gone, or takes no writes any more.
            }

            await Task.Delay(20);
        }
    }

    /// <summary>Writes rows until the connection ends.</summary>
    private async Task WriteRowsAsync(string client, Place place)
    {
        await using NpgsqlConnection connection = new(place.Database);
        await connection.OpenAsync();
        while (!_isOver)
        {
            string value = NextName(client);
            await using NpgsqlCommand insert = new("INSERT INTO t (v) VALUES ($1)", connection);
            insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = value });
            await insert.ExecuteNonQueryAsync();
            RowWrite row = new(value, place.Region);
            Rows.Enqueue(row);
            // Not before the end of its commit record: whoever has all up to here has the row.
            await using NpgsqlCommand position = new("SELECT pg_current_wal_insert_lsn()::text", connection);
            row.Position = Lsn.Parse((string)(await position.ExecuteScalarAsync())!);
        }
    }

    /// <summary>Writes keys until the connection ends.</summary>
    private async Task WriteKeysAsync(string client, Place place)
    {
        await using RedisTestClient redis = await place.Redis.ConnectAsync();
        while (!_isOver)
        {
            string name = NextName(client);
            await redis.ExecuteAsync("SET", name, "1");
            KeyWrite key = new(name, place.Region);
            Keys.Enqueue(key);
            // Asked every time, and waited for a little: after a cut there is no replica.
            key.IsReplicated = await redis.ExecuteAsync("WAIT", 1, 5) is >= 1L;
        }
    }

    private string NextName(string client) => string.Create(CultureInfo.InvariantCulture, $"{client}-{Interlocked.Increment(ref _names)}");

    /// <summary>A region as its clients see it.</summary>
    /// <param name="Region">Its name.</param>
    /// <param name="Database">The connection to its database.</param>
    /// <param name="Redis">Its Redis.</param>
    public sealed record Place(string Region, string Database, RedisServer Redis);

    /// <summary>A row that was acknowledged.</summary>
    /// <param name="Value">What it holds.</param>
    /// <param name="Region">By which region.</param>
    public sealed record RowWrite(string Value, string Region)
    {
        /// <summary>Where the WAL was when it had been acknowledged; none where that was not told any more.</summary>
        public Lsn? Position { get; set; }
    }

    /// <summary>A key that was acknowledged.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="Region">By which region.</param>
    public sealed record KeyWrite(string Name, string Region)
    {
        /// <summary>Whether a replica has said that it has it.</summary>
        public bool IsReplicated { get; set; }
    }
}
