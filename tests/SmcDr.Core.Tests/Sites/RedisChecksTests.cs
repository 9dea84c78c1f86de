using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Redis;

namespace SmcDr.Core.Tests.Sites;

public sealed class RedisChecksTests : IDisposable
{
    private const string Secret = "SMCDR_TEST_REDIS_CHECKS_PASSWORD";

    private readonly TemporaryDirectory _directory = new();

    public RedisChecksTests() => Environment.SetEnvironmentVariable(Secret, "secret-word");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task RunAsync_SoundServer_PassesAll()
    {
        await using RedisServer server = await RedisServer.StartAsync(
            new RedisServerOptions { Password = "secret-word", Settings = new Dictionary<string, string> { ["appendonly"] = "yes" } });

        Dictionary<string, CheckResult> results = await RunAsync(server, $"password: env:{Secret}, dataDirectory: {server.DataDirectory}, method: bgSave");

        Assert.Equal(
            [
                "RedisConnection", "RedisAuthentication", "RedisVersion", "RedisRole", "RedisPrivileges", "RedisPersistence", "RedisSaves", "RedisChecksum",
                "RedisMemory", "RedisReplicas", "RedisFile", "RedisDataDirectory",
            ],
            results.Keys);
        Assert.All(results.Values, static result => Assert.Equal((CheckOutcomes.Passed, null), (result.Outcome, result.Recommendation)));
        Assert.All(results.Values, static result => Assert.EndsWith(".", result.Message));
    }

    [Fact]
    public async Task RunAsync_ServerThatKeepsNothing_Warns()
    {
        await using RedisServer server = await RedisServer.StartAsync(
            new RedisServerOptions { Settings = new Dictionary<string, string> { ["rdbchecksum"] = "no" } });

        Dictionary<string, CheckResult> results = await RunAsync(server, "preferReplica: true");

        Assert.Equal(
            ["RedisAuthentication", "RedisPersistence", "RedisChecksum", "RedisReplicas"],
            results.Values.Where(static result => result.Outcome == CheckOutcomes.Warning).Select(static result => result.Name));
        Assert.DoesNotContain(results.Values, static result => result.Outcome is CheckOutcomes.Failed or CheckOutcomes.Skipped);
    }

    /// <summary>A master without persistence that restarts by itself empties its replicas.</summary>
    [Fact]
    public async Task RunAsync_MasterWithReplicasAndWithoutPersistence_WarnsOfTheRestart()
    {
        await using RedisServer master = await RedisServer.StartAsync();
        await using RedisServer replica = await RedisServer.StartAsync(new RedisServerOptions { Lines = [$"replicaof 127.0.0.1 {master.Port}"] });
        while (!(await replica.InfoAsync("replication")).Contains("master_link_status:up", StringComparison.Ordinal))
        {
            await Task.Delay(20);
        }

        Assert.Contains("restarts by itself empties them", (await RunAsync(master))["RedisPersistence"].Message, StringComparison.Ordinal);
        CheckResult role = (await RunAsync(replica))["RedisRole"];
        Assert.Equal(CheckOutcomes.Warning, role.Outcome);
        Assert.Contains($"replica of 127.0.0.1:{master.Port}", role.Message, StringComparison.Ordinal);

        await master.KillAsync();
        while ((await replica.InfoAsync("replication")).Contains("master_link_status:up", StringComparison.Ordinal))
        {
            await Task.Delay(20);
        }

        Assert.Equal(CheckOutcomes.Failed, (await RunAsync(replica))["RedisRole"].Outcome);
    }

    [Theory]
    [InlineData("+info +config|get", "replication", CheckOutcomes.Failed, CheckOutcomes.Warning)]
    [InlineData("+info +replconf +psync", "replication", CheckOutcomes.Passed, CheckOutcomes.Skipped)]
    [InlineData("+info +bgsave +config|get", "bgSave", CheckOutcomes.Failed, CheckOutcomes.Warning)]
    public async Task RunAsync_UserWithoutPrivileges_IsToldWhichToGrant(string rules, string method, string privileges, string persistence)
    {
        await using RedisServer server = await RedisServer.StartAsync(
            new RedisServerOptions { Lines = [$"user backup on >secret-word -@all {rules}"], Password = "other" });

        Dictionary<string, CheckResult> results = await RunAsync(server, $"username: backup, password: env:{Secret}, method: {method}");

        Assert.Equal((privileges, persistence), (results["RedisPrivileges"].Outcome, results["RedisPersistence"].Outcome));
        if (privileges == CheckOutcomes.Failed)
        {
            Assert.Contains("ACL SETUSER", results["RedisPrivileges"].Recommendation, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task RunAsync_WrongPassword_FailsAuthenticationAndSkipsTheRest()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions { Password = "other" });

        Dictionary<string, CheckResult> results = await RunAsync(server, $"password: env:{Secret}");

        Assert.Equal(CheckOutcomes.Passed, results["RedisConnection"].Outcome);
        Assert.Equal(CheckOutcomes.Failed, results["RedisAuthentication"].Outcome);
        Assert.All(results.Values.Skip(2), static result => Assert.Equal(CheckOutcomes.Skipped, result.Outcome));
        Assert.All(results.Values, static result => Assert.DoesNotContain("secret-word", result.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_SaveFailed_FailsSinceTheServerTakesNoWrites()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await server.ExecuteAsync("SET", "k", "v");
        // Not even root renames a file over a directory.
        Directory.CreateDirectory(server.DumpPath);
        await server.ExecuteAsync("BGSAVE");
        while (await server.InfoNumberAsync("persistence", "rdb_bgsave_in_progress") != 0)
        {
            await Task.Delay(10);
        }

        CheckResult saves = (await RunAsync(server))["RedisSaves"];

        Assert.Equal(CheckOutcomes.Failed, saves.Outcome);
        Assert.Contains("takes no writes", saves.Message, StringComparison.Ordinal);
        await server.ExecuteAsync("CONFIG", "SET", "stop-writes-on-bgsave-error", "no");
        Assert.Equal(CheckOutcomes.Warning, (await RunAsync(server))["RedisSaves"].Outcome);
    }

    [Fact]
    public async Task RunAsync_DataDirectoryOfAnotherServer_FailsBecauseARestoreWouldReplaceIt()
    {
        await using RedisServer server = await RedisServer.StartAsync();

        CheckResult result = (await RunAsync(server, $"dataDirectory: {_directory.Path}"))["RedisDataDirectory"];

        Assert.Equal(CheckOutcomes.Failed, result.Outcome);
        Assert.Contains(server.DataDirectory, result.Message, StringComparison.Ordinal);
    }

    private async Task<Dictionary<string, CheckResult>> RunAsync(RedisServer server, string more = "")
    {
        Site site = SiteFile.Parse(
            $$"""
            name: orders
            repository: { location: "{{_directory.Path}}/repository" }
            regions:
              here:
                role: primary
                redis: { endpoint: "127.0.0.1:{{server.Port}}", {{more}} }
            """,
            Path.Combine(_directory.Path, "smcdr.yaml"));
        Dictionary<string, CheckResult> results = [];
        MemoryObjectStore store = new();
        await foreach (CheckResult result in new SiteChecks(site, new SecretResolver(), _ => store).RunAsync(CancellationToken.None))
        {
            if (result.Name.StartsWith("Redis", StringComparison.Ordinal))
            {
                results.Add(result.Name, result);
            }
        }

        return results;
    }
}
