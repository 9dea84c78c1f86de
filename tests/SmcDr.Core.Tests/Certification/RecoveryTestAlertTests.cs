using System.Text.Json;
using SmcDr.Core.Certification;
using SmcDr.Core.Notifications;
using SmcDr.Core.Tests.Notifications;
using SmcDr.Core.Tests.Systems;

namespace SmcDr.Core.Tests.Certification;

/// <summary>A test of recovery tells the site's channels by itself, be it good or bad.</summary>
public sealed class RecoveryTestAlertTests
{
    [Fact]
    public async Task TestRecovery_TellsBothResults_AndTheScheduleNoneOfThemAgain()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200", "200", "200");
        await using HostSystem system = await HostSystem.StartAsync(500);
        string hook = system.SitePath + ".hook";
        await File.WriteAllTextAsync(hook, receiver.Url);
        File.SetUnixFileMode(hook, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await File.AppendAllTextAsync(system.SitePath, $"\nnotifications: [ {{ webhook: \"file:{hook}\" }} ]\n");
        await system.BackUpAsync();
        await system.FlushAsync();

        JsonElement good = await system.JsonAsync("test", "recovery", "--queries-only");
        JsonElement told = await NextAsync(receiver);
        foreach (string pack in Directory.GetFiles(Path.Combine(system.RepositoryPath, "database"), "pack-*", SearchOption.AllDirectories))
        {
            await File.WriteAllBytesAsync(pack, new byte[new FileInfo(pack).Length]);
        }

        (int exitCode, string text, string error) = await system.RunAsync("schedule", "run", "recoveryTest");
        JsonElement warned = await NextAsync(receiver);

        Assert.Equal("information", told.GetProperty("severity").GetString());
        Assert.Equal("Recovery test passed", told.GetProperty("title").GetString());
        Assert.Equal(good.GetProperty("testId").GetString(), told.GetProperty("fields").GetProperty("Certificate").GetString());
        Assert.Equal(SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode, exitCode);
        Assert.Equal("critical", warned.GetProperty("severity").GetString());
        Assert.Equal("Recovery test FAILED: Recovery", warned.GetProperty("title").GetString());
        Assert.Contains("SmcChecksumMismatch", warned.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hunter", text + error, StringComparison.Ordinal);
        Assert.Empty(await receiver.EndAsync());
    }

    [Fact]
    public void Create_ManyFindings_NamesTheFirst_AndIsTheSameForNoOtherTest()
    {
        RecoveryTestResult result = new()
        {
            TestId = "20261129T101500Z-3f9a61c2",
            Site = "orders",
            Component = "Database",
            Outcome = "Failed",
            TargetKind = "Latest",
            StartTime = DateTimeOffset.UnixEpoch,
            Duration = TimeSpan.FromSeconds(3),
            Checks =
            [
                .. Enumerable.Range(1, 20).Select(static i => new CheckResult
                {
                    Name = "Sql", Target = "orders", Outcome = i == 1 ? "Warning" : "Failed", Message = $"Query {i} is wrong.", Recommendation = "",
                }),
            ],
            Repository = "/srv/backups",
            By = "ada@ops-1",
        };

        Alert alert = RecoveryTestAlert.Create(result);
        Alert next = RecoveryTestAlert.Create(result with { TestId = "20261229T101500Z-3f9a61c2", Outcome = "Passed" });

        Assert.Equal(AlertSeverity.Critical, alert.Severity);
        Assert.Equal(10, alert.Text.Split('\n').Length);
        Assert.Contains(alert.Fields, static field => field is { Name: "Checks", Value: "0 of 20 passed" });
        Assert.NotEqual(alert.Key, next.Key);
        Assert.Equal(AlertSeverity.Information, next.Severity);
    }

    private static async Task<JsonElement> NextAsync(Receiver receiver) =>
        JsonDocument.Parse((await receiver.NextAsync()).GetProperty("body").GetString()!).RootElement;
}
