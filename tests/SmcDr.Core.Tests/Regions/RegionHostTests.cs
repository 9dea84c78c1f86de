using System.Net;
using System.Net.Sockets;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Regions;
using SmcDr.Core.Regions.Failback;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Which host a region's data directory is on, where several hosts are set up alike.</summary>
public sealed class RegionHostTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("smcdr-test-hosts-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task FindDirectory_PathOfBothRegions_IsThatOfTheRegionOnThisHost()
    {
        Site site = await WriteAsync("192.0.2.1", "127.0.0.1", _directory.FullName);

        Assert.Null(new RegionHost(site).FindDirectory(site.Regions["east"]));
        Assert.Equal(_directory.FullName, new RegionHost(site).FindDirectory(site.Regions["west"]));
        Assert.True(new RegionHost(site).IsElsewhere(site.Regions["east"]));
        Assert.False(new RegionHost(site).IsElsewhere(site.Regions["west"]));
    }

    [Fact]
    public async Task FindDirectory_PathOfOneRegion_IsItsOwnWhateverTheAddressSays()
    {
        // Behind an address that moves, as many are reached.
        Site site = await WriteAsync("192.0.2.1", "127.0.0.1", _directory.FullName + "-of-west");

        Assert.Equal(_directory.FullName, new RegionHost(site).FindDirectory(site.Regions["east"]));
        Assert.Null(new RegionHost(site).FindDirectory(site.Regions["west"]));
    }

    [Theory]
    [InlineData("Host=127.0.0.1", true)]
    [InlineData("Host=localhost", true)]
    [InlineData("Host=::1", true)]
    [InlineData("Host=/var/run/postgresql", true)]
    [InlineData("Host=192.0.2.1,127.0.0.1:5433", true)]
    [InlineData("Host=192.0.2.1", false)]
    [InlineData("Host=nobody.invalid", false)]
    public async Task IsLocal_Address_IsOfThisHostOrNot(string connection, bool expected)
    {
        RegionHost host = new(await WriteAsync("192.0.2.1", "127.0.0.1", _directory.FullName));

        Assert.Equal(expected, host.IsLocal(connection));
        Assert.Equal(expected, host.IsLocal(connection));
    }

    [Fact]
    public async Task FindDirectory_AskedAgainAndAgain_LooksTheNameUpOnce()
    {
        Site site = await WriteAsync("db.east.invalid", "db.west.invalid", _directory.FullName);
        List<string> asked = [];
        RegionHost host = new(site, name =>
        {
            asked.Add(name);
            return [name == "db.west.invalid" ? IPAddress.Loopback : IPAddress.Parse("192.0.2.1")];
        });

        for (int i = 0; i < 3; i++)
        {
            Assert.Null(host.FindDirectory(site.Regions["east"]));
            Assert.Equal(_directory.FullName, host.FindDirectory(site.Regions["west"]));
        }

        Assert.Equal(["db.east.invalid", "db.west.invalid"], asked);
    }

    [Fact]
    public async Task IsElsewhere_NameThatCouldNotBeLookedUp_IsAskedForAgain()
    {
        Site site = await WriteAsync("db.east.invalid", "127.0.0.1", _directory.FullName);
        int asked = 0;
        RegionHost host = new(site, _ => ++asked == 1 ? throw new SocketException((int)SocketError.TryAgain) : [IPAddress.Loopback]);

        Assert.True(host.IsElsewhere(site.Regions["east"]));
        Assert.False(host.IsElsewhere(site.Regions["east"]));
    }

    [Fact]
    public async Task OpenServer_FailbackGoesOnOnTheHostOfTheOtherRegion_SaysWhereToRunIt()
    {
        Site site = await WriteAsync("192.0.2.1", "127.0.0.1", _directory.FullName);
        await using MemoryObjectStore store = new();
        SitePlanContext context = new()
        {
            Site = site, Secrets = new SecretResolver(), Repository = await Repository.OpenOrCreateAsync(store, default), Observer = NullObserver.Instance,
        };
        RegionFailoverIntent back = new() { From = "west", To = "east", Epoch = 1, SystemId = "1", Timeline = 2, Program = [] };

        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => new FailbackWork(context, new RegionFailbackIntent { Switch = back }).OpenServerAsync(default));

        Assert.Equal(SmcErrorCode.RegionUnsuitable, e.Code);
        Assert.Contains("is not on this host", e.Message, StringComparison.Ordinal);
        Assert.Contains("on the host of 'east'", e.Recommendation, StringComparison.Ordinal);
    }

    private async Task<Site> WriteAsync(string east, string west, string westDirectory)
    {
        await File.WriteAllTextAsync(Path.Combine(_directory.FullName, "PG_VERSION"), "15\n");
        string path = Path.Combine(_directory.FullName, "smcdr.yaml");
        await File.WriteAllTextAsync(path, $$"""
            name: hosts
            repository: { location: "file://{{_directory.FullName}}/repository" }
            regions:
              east: { role: primary, database: { connection: "Host={{east}};Username=postgres", dataDirectory: {{_directory.FullName}} } }
              west: { role: standby, database: { connection: "Host={{west}};Username=postgres", dataDirectory: {{westDirectory}} } }
            """);
        return SiteFile.Load(path);
    }
}
