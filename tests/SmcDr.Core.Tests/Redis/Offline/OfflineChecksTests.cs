using SmcDr.Core.Redis.Offline;

namespace SmcDr.Core.Tests.Redis.Offline;

public sealed class OfflineChecksTests
{
    /// <param name="written">What the arguments say of the append-only file.</param>
    /// <param name="present">What lies in the directory.</param>
    /// <param name="backedUp">How the server was set that was backed up.</param>
    /// <param name="expected">Whether the server loads an append-only file.</param>
    [Theory]
    [InlineData("yes", null, null, true)]
    [InlineData("no", "appendonlydir", "yes", false)]
    [InlineData(null, "appendonlydir", "no", true)]
    [InlineData(null, "dump.rdb", "yes", false)]
    [InlineData(null, null, "yes", true)]
    [InlineData(null, null, "no", false)]
    [InlineData(null, null, null, false)]
    public void CreateLayout_NotAllOfItsStartIsKnown_GoesByWhatIsSaidThenByWhatLiesThereThenByTheBackup(
        string? written, string? present, string? backedUp, bool expected)
    {
        RedisConfiguration configuration = new();
        configuration.AddArguments(written is null ? [] : ["--appendonly", written]);

        OfflineLayout layout = OfflineChecks.CreateLayout(
            new OfflineSettings(configuration, null, keepsRunning: true, isWrittenKnown: false),
            "/data",
            isKnown: false,
            name => name == present,
            7,
            backedUp is null ? null : new Dictionary<string, string> { ["appendonly"] = backedUp });

        Assert.Equal(expected, layout.IsAppendOnly);
    }
}
