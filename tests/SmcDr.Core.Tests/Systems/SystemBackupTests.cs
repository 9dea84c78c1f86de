using System.Text.Json;
using SmcDr.Core.Tests.Redis;

namespace SmcDr.Core.Tests.Systems;

/// <summary>The parts of a system of this host are backed up beside each other, and looked at.</summary>
public sealed class SystemBackupTests
{
    [Fact]
    public async Task Backup_APartIsGone_BacksUpTheOthers_AndSaysSo()
    {
        await using HostSystem system = await HostSystem.StartAsync(100);
        JsonElement whole = await system.BackUpAsync();
        JsonElement[] backups = [.. whole.GetProperty("backups").EnumerateArray()];

        Assert.Equal("Complete", whole.GetProperty("state").GetString());
        Assert.Equal(
            ["Database", "FileStore", "Redis"], backups.Select(static one => one.GetProperty("component").GetString()!).Order(StringComparer.Ordinal));
        Assert.All(backups, one => Assert.Equal(whole.GetProperty("label").GetString(), one.GetProperty("label").GetString()));
        // Two of these three are instants of the backup, and none lies outside of it.
        Assert.InRange(whole.GetProperty("skewSeconds").GetDouble(), 0.000001, whole.GetProperty("durationSeconds").GetDouble() + 1);

        await system.Redis.KillAsync();
        (int exitCode, string text, string error) = await system.RunAsync("system", "backup", "--label", "without", "--json");
        JsonElement partial = JsonDocument.Parse(text).RootElement;
        Assert.Equal(SmcErrors.Get(SmcErrorCode.SystemBackupPartial).ExitCode, exitCode);
        Assert.Equal("Partial", partial.GetProperty("state").GetString());
        Assert.Equal(2, partial.GetProperty("backups").GetArrayLength());
        Assert.StartsWith("Redis: ", partial.GetProperty("problems")[0].GetString(), StringComparison.Ordinal);
        Assert.Contains("SystemBackupPartial", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Test_TellsWhatIsWell_AndWhatIsNot_AndLeavesNothingBehind()
    {
        await using HostSystem system = await HostSystem.StartAsync(100);
        await system.BackUpAsync();
        await system.FlushAsync();
        string keys = await system.KeysAsync();

        JsonElement[] well = [.. (await system.JsonAsync("system", "test")).EnumerateArray()];
        Assert.Equal(
            ["Database", "DatabaseReplication", "Sql", "Redis", "RedisWrite", "RedisReplication", "Repository", "BackupAge", "BackupAge", "BackupAge"],
            well.Select(static check => check.GetProperty("name").GetString()));
        Assert.DoesNotContain(well, static check => check.GetProperty("outcome").GetString() is "Failed" or "Skipped");
        Assert.Equal(keys, await system.KeysAsync());

        await system.Database.ExecuteAsync("TRUNCATE trades");
        await using (RedisTestClient client = await system.Redis.ConnectAsync())
        {
            // A server that takes no writes: it has too few replicas to.
            await client.ExecuteAsync("CONFIG", "SET", "min-replicas-to-write", "1");
        }

        (int exitCode, string text, string _) = await system.RunAsync("system", "test", "--json");
        JsonElement[] ill = [.. JsonDocument.Parse(text).RootElement.EnumerateArray()];
        Assert.Equal(SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode, exitCode);
        Assert.Equal(
            ["Sql", "RedisWrite"],
            ill.Where(static check => check.GetProperty("outcome").GetString() == "Failed").Select(static check => check.GetProperty("name").GetString()));
    }
}
