using System.Globalization;
using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Redis;
using SmcDr.Core.Tests.Redis.Offline;
using SmcDr.Core.Tests.Redis.Rdb;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliRedisTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>All that can be done with a backup, in an encrypted repository that has a copy.</summary>
    [Fact]
    public async Task Commands_FromBackupToRemoval_WorkOnRedis()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(server);
        long keys = await CountAsync(server);
        Assert.Equal(0, (await RunAsync("key", "new", "repository.key")).ExitCode);
        await WriteSiteAsync(
            $"endpoint: \"127.0.0.1:{server.Port}\"",
            $"encryptionKey: \"file:{_directory.Path}/repository.key\", copies: [ \"file://{_directory.Path}/copy\" ], retention: {{ last: 1 }}");

        CliRun text = await RunAsync("backup", "redis", "--label", "first");
        Assert.True(text.ExitCode == 0, text.Error);
        Assert.Contains($"{keys.ToString("N0", CultureInfo.InvariantCulture)}, ", text.Out, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{server.Port}", text.Out, StringComparison.Ordinal);
        JsonElement second = await JsonAsync("backup", "redis", "--method", "bgsave", "--label", "second");
        Assert.Equal(("Redis", "Full", "Complete"), (Text(second, "component"), Text(second, "kind"), Text(second, "state")));
        Assert.Equal(keys, second.GetProperty("keyCount").GetInt64());
        Assert.Equal("Complete", Text(second, "copyState"));
        Assert.True(second.GetProperty("encrypted").GetBoolean());

        JsonElement[] listed = [.. (await JsonAsync("backup", "list", "--component", "redis")).EnumerateArray()];
        Assert.Equal(["first", "second"], listed.Select(static backup => Text(backup, "label")));
        string first = Text(listed[0], "id");
        Assert.Contains("first", (await RunAsync("backup", "list")).Out, StringComparison.Ordinal);
        Assert.Equal(4, (await JsonAsync("backup", "list", "--include-copies")).GetArrayLength());

        JsonElement[] tested = [.. (await JsonAsync("test", "backup", "--deep", "--newer-than", "1h")).EnumerateArray()];
        Assert.Equal("Passed", Text(Assert.Single(tested), "outcome"));

        Assert.Equal(0, (await RunAsync("key", "renew", "--yes")).ExitCode);
        JsonElement third = await JsonAsync("backup", "redis", "--label", "with the new key");
        Assert.All((await JsonAsync("test", "backup", "--deep")).EnumerateArray(), static result => Assert.Equal("Passed", Text(result, "outcome")));

        Assert.Equal(0, (await RunAsync("protect", "backup", first, "--hold", "audit")).ExitCode);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.BackupProtected).ExitCode, (await RunAsync("remove", "backup", first, "--yes")).ExitCode);
        JsonElement removed = Assert.Single((await JsonAsync("retention", "--yes")).EnumerateArray());
        Assert.Equal(Text(second, "id"), Text(removed, "id"));
        Assert.Equal(0, (await RunAsync("unprotect", "backup", first)).ExitCode);
        Assert.Equal(0, (await RunAsync("remove", "backup", first, "--yes")).ExitCode);
        Assert.Equal(Text(third, "id"), Text(Assert.Single((await JsonAsync("backup", "list")).EnumerateArray()), "id"));

        // What the copy has, a lost repository gets back, and the RDB is still what the server loads.
        Directory.Delete(Path.Combine(_directory.Path, "repository"), recursive: true);
        Assert.Contains(Text(second, "id"), (await RunAsync("backup", "list")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BackupRedis_TlsPasswordAclAndRenamedCommands_AreWhatTheSiteFileSays()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Tls = true,
            Password = "not-this-one",
            Lines = ["user backup on >secret-word -@all +info +replconf +psync +config|get", "rename-command CONFIG hidden-config"],
        });
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "password"), "secret-word\n");
        string settings = $"endpoint: \"127.0.0.1:{server.Port}\", username: backup, tls: true, caFile: \"{server.CertificatePath}\", serverName: localhost, renamedCommands: {{ CONFIG: hidden-config }}";
        await WriteSiteAsync($"{settings}, password: \"file:{_directory.Path}/password\"");

        JsonElement backup = await JsonAsync("backup", "redis");
        Assert.Equal(0, backup.GetProperty("keyCount").GetInt64());
        JsonElement[] checks = await ChecksAsync();
        Assert.All(checks, static check => Assert.NotEqual("Failed", Text(check, "outcome")));
        Assert.Contains(checks, static check => Text(check, "name") == "RedisPersistence" && Text(check, "message").Contains("keeps nothing", StringComparison.Ordinal));

        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "password"), "wrong-word\n");
        CliRun refused = await RunAsync("backup", "redis");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.AuthenticationFailed).ExitCode, refused.ExitCode);
        Assert.DoesNotContain("wrong-word", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("pg_hba", refused.Error, StringComparison.Ordinal);
        Assert.Equal(backup.GetProperty("id").GetString(), Text(Assert.Single((await JsonAsync("backup", "list")).EnumerateArray()), "id"));

        await WriteSiteAsync(settings.Replace($", caFile: \"{server.CertificatePath}\"", "", StringComparison.Ordinal));
        CliRun untrusted = await RunAsync("backup", "redis");
        Assert.Contains("is not trusted", untrusted.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BackupRedis_PreferReplica_AsTheSiteFileOrTheCommandLineSays()
    {
        await using RedisServer master = await RedisServer.StartAsync();
        await using RedisServer replica = await RedisServer.StartAsync(new RedisServerOptions { Lines = [$"replicaof 127.0.0.1 {master.Port}"] });
        await master.ExecuteAsync("SET", "k", "v");
        await InStepAsync(master, replica);
        string endpoint = $"endpoint: \"127.0.0.1:{master.Port}\"";

        await WriteSiteAsync($"{endpoint}, preferReplica: true");
        Assert.EndsWith($":{replica.Port}", Text(await JsonAsync("backup", "redis"), "source"), StringComparison.Ordinal);
        Assert.EndsWith($":{master.Port}", Text(await JsonAsync("backup", "redis", "--prefer-replica", "false"), "source"), StringComparison.Ordinal);
        Assert.EndsWith($":{master.Port}", Text(await JsonAsync("backup", "redis", "--method", "bgsave"), "source"), StringComparison.Ordinal);
        Assert.Contains((await ChecksAsync()), static check => Text(check, "message") == "1 of 1 replicas follow the server.");
        await WriteSiteAsync(endpoint);
        Assert.EndsWith($":{replica.Port}", Text(await JsonAsync("backup", "redis", "--prefer-replica"), "source"), StringComparison.Ordinal);
        CliRun both = await RunAsync("backup", "redis", "--prefer-replica", "--method", "bgsave");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, both.ExitCode);
    }

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task RestoreRedis_Offline_StopsTheServerAndStartsItWithTheBackup(string appendOnly)
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Settings = new Dictionary<string, string> { ["appendonly"] = appendOnly, ["save"] = "1 1" },
        });
        try
        {
            await RedisSampleData.FillAsync(server);
            long keys = await CountAsync(server);
            string digest = await DigestAsync(server);
            string files = $"dataDirectory: \"{server.DataDirectory}\", configFile: \"{server.ConfigurationPath}\", binDirectory: \"{Path.GetDirectoryName(server.Program)}\"";
            await WriteSiteAsync($"endpoint: \"127.0.0.1:{server.Port}\", {files}");
            await JsonAsync("backup", "redis");
            await server.ExecuteAsync("FLUSHALL");
            await server.ExecuteAsync("SET", "later", "than the backup");
            string later = await DigestAsync(server);

            CliRun plan = await RunAsync("restore", "redis", "--method", "offline", "--dry-run");
            Assert.True(plan.ExitCode == 0, plan.Error);
            Assert.Contains("without saving", plan.Out, StringComparison.Ordinal);
            CliRun part = await RunAsync("restore", "redis", "--method", "offline", "--database", "3", "--yes");
            Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, part.ExitCode);
            CliRun unasked = await RunAsync("restore", "redis", "--method", "offline");
            Assert.NotEqual(0, unasked.ExitCode);
            Assert.Equal(later, await DigestAsync(server));

            JsonElement result = await JsonAsync("restore", "redis", "--method", "offline", "--yes");
            Assert.Equal(("Offline", "Complete"), (Text(result, "method"), Text(result, "state")));
            Assert.True(result.GetProperty("verified").GetBoolean());
            Assert.Equal((keys, 0), (result.GetProperty("keysRestored").GetInt64(), result.GetProperty("mismatchedKeys").GetInt64()));
            Assert.InRange(result.GetProperty("sampledKeys").GetInt64(), 200, keys);
            Assert.Equal(digest, await DigestAsync(server));

            // Of a server that does not run the files are what is restored, without being asked for.
            await OfflineWorld.KillInAsync(server.DataDirectory);
            CliRun text = await RunAsync("restore", "redis", "--yes");
            Assert.True(text.ExitCode == 0, text.Error);
            Assert.Contains("Offline", text.Out, StringComparison.Ordinal);
            Assert.Contains("the same, by counts and", text.Out, StringComparison.Ordinal);
            Assert.Equal(digest, await DigestAsync(server));
        }
        finally
        {
            await OfflineWorld.KillInAsync(server.DataDirectory);
        }
    }

    [Fact]
    public async Task BackupRedis_ServerIsGone_SaysSoAndLeavesNoBackup()
    {
        await WriteSiteAsync($"endpoint: \"127.0.0.1:{PostgresServer.FreePort()}\"");

        CliRun run = await RunAsync("backup", "redis");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ServerUnavailable).ExitCode, run.ExitCode);
        Assert.Empty((await JsonAsync("backup", "list")).EnumerateArray());
        JsonElement[] checks = await ChecksAsync(SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode);
        Assert.Equal("Failed", Text(checks.Single(static check => Text(check, "name") == "RedisConnection"), "outcome"));
    }

    [Fact]
    public async Task BackupRedis_SiteWithoutRedis_SaysWhatToAdd()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: orders
            repository: { location: "file://{{_directory.Path}}/repository" }
            regions: { here: { role: primary } }
            """);

        CliRun run = await RunAsync("backup", "redis");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.SiteInvalid).ExitCode, run.ExitCode);
        Assert.Contains("redis: { endpoint: redis:6379 }", run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_directory.Path, "repository")));
    }

    [Fact]
    public async Task BackupRedis_BesideADatabaseBackup_SaysHowFarItLiesFromIt()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await WriteSiteAsync($"endpoint: \"127.0.0.1:{server.Port}\"");
        Repository repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory.Path, "repository")), default);
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.Database, "Full", null, null, null, new BackupWriterOptions(), default);
        await writer.CompleteAsync("Full", header => header with { StopTime = DateTimeOffset.UtcNow.AddHours(-2) }, default);

        CliRun run = await RunAsync("backup", "redis");

        Assert.Contains($"{writer.Id}, 2 h", run.Out, StringComparison.Ordinal);
        Assert.Contains("earlier; nothing holds the two at one instant", run.Out, StringComparison.Ordinal);
    }

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    private static async Task<long> CountAsync(RedisServer server)
    {
        string keyspace = await server.InfoAsync("keyspace");
        return keyspace.Split("\r\n").Where(static line => line.StartsWith("db", StringComparison.Ordinal))
            .Sum(static line => long.Parse(line.Split("keys=")[1].Split(',')[0], CultureInfo.InvariantCulture));
    }

    /// <summary>Of whatever server answers now: the one that was started first is gone after a restore.</summary>
    private static async Task<string> DigestAsync(RedisServer server)
    {
        await using RedisTestClient client = await server.ConnectAsync();
        return (string)(await client.ExecuteAsync("DEBUG", "DIGEST"))!;
    }

    private static async Task InStepAsync(RedisServer master, RedisServer replica)
    {
        while (!((await replica.InfoAsync("replication")).Contains("master_link_status:up", StringComparison.Ordinal) &&
            (await master.InfoAsync("replication")).Contains("state=online", StringComparison.Ordinal)))
        {
            await Task.Delay(20);
        }
    }

    private Task WriteSiteAsync(string redis, string repository = "") => File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
        name: orders
        repository: { location: "file://{{_directory.Path}}/repository", {{repository}} }
        regions:
          here:
            role: primary
            redis: { {{redis}} }
        """);

    private async Task<JsonElement[]> ChecksAsync(int exitCode = 0)
    {
        CliRun run = await RunAsync("site", "test", "--json");
        Assert.True(run.ExitCode == exitCode, run.Out + run.Error);
        return [.. run.Json.EnumerateArray()];
    }

    private async Task<JsonElement> JsonAsync(params string[] arguments)
    {
        CliRun run = await RunAsync([.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, $"{string.Join(' ', arguments)}: {run.Out} {run.Error}");
        return run.Json;
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory.Path, arguments);
}
