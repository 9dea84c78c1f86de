using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Plans;
using static SmcDr.Core.Tests.Plans.PlanWorld;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliPlanTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task PlanListAndShow_AnInterruptedPlan_SayHowFarItIs()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: orders
            repository: { location: {{_directory.Path}}/repository }
            regions: { east: { role: primary, database: { connection: Host=localhost } } }
            """);
        Repository repository = await Repository.OpenOrCreateAsync(
            new DirectoryObjectStore(Path.Combine(_directory.Path, "repository")), CancellationToken.None);
        Assert.Contains("There are no plans.", (await RunAsync("plan", "list")).Error, StringComparison.Ordinal);

        await CollectAsync(NewRun(
            repository,
            [new ScriptedStep("first"), new ScriptedStep("second", "first") { Act = static (_, _) => FailAsync() }]).RunAsync(CancellationToken.None));
        string id = await OpenIdAsync(repository);
        CliRun list = await RunAsync("plan", "list");
        Assert.Equal(0, list.ExitCode);
        Assert.Contains(id, list.Out, StringComparison.Ordinal);
        Assert.Contains("Unfinished", list.Out, StringComparison.Ordinal);
        Assert.Contains("1/2", list.Out, StringComparison.Ordinal);

        CliRun show = await RunAsync("plan", "show", id);
        Assert.Contains("Restore the system 'orders': Unfinished, 1 of 2 steps done", show.Out, StringComparison.Ordinal);
        Assert.Contains("The disk is full.", show.Out, StringComparison.Ordinal);
        CliRun json = await RunAsync("plan", "show", id, "--json");
        Assert.Equal(
            ["Succeeded", "Failed"], json.Json.GetProperty("steps").EnumerateArray().Select(static step => step.GetProperty("state").GetString()));
        Assert.Equal(
            SmcErrors.Get(SmcErrorCode.PlanUnsuitable).ExitCode, (await RunAsync("plan", "show", "20260101T000000Z-restore-system")).ExitCode);
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory.Path, arguments);
}
