using System.Net;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Dns;

/// <summary>The server of a hosted zone: a real one, which answers what Route 53 has, as the zone's own servers do. It is started anew with each change.</summary>
internal sealed class ZoneServer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly MotoServer _moto;
    private readonly string _zone;
    private string[] _records;
    private DnsmasqServer _server;
    private Task _following = Task.CompletedTask;

    private ZoneServer(MotoServer moto, string zone, string[] records, DnsmasqServer server) =>
        (_moto, _zone, _records, _server) = (moto, zone, records, server);

    /// <summary>Host and port, as a site file names a server.</summary>
    public string Endpoint => _server.Endpoint;

    public IPEndPoint Address => _server.Address;

    public static async Task<ZoneServer> StartAsync(MotoServer moto, string zone)
    {
        string[] records = await ReadAsync(moto, zone);
        ZoneServer server = new(moto, zone, records, await DnsmasqServer.StartAsync(records));
        server._following = Task.Run(server.FollowAsync);
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _following;
        await _server.DisposeAsync();
        _stop.Dispose();
    }

    private static async Task<string[]> ReadAsync(MotoServer moto, string zone) =>
        [.. (await moto.ReadAliasesAsync(zone)).Select(static alias => $"--cname={alias.Name},{alias.Target},60")];

    private async Task FollowAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            string[] records = await ReadAsync(_moto, _zone);
            if (!records.SequenceEqual(_records))
            {
                int port = _server.Port;
                await _server.DisposeAsync();
                _server = await DnsmasqServer.StartAsync(port, records);
                _records = records;
            }

            await Task.Delay(50);
        }
    }
}
