using System.Globalization;
using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Redis.Offline;
using SmcDr.Core.Tests.Regions;
using SmcDr.Core.Tests.Systems;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Runbooks;

/// <summary>Scenarios that happen to real servers, and are answered by one command each.</summary>
[Collection(MotoTests.Name)]
public sealed class RunbookRunTests(MotoServer moto, ITestOutputHelper output)
{
    [Fact]
    public async Task DatabaseCorruption_RowsAreDeleted_TheirStateIsSaved_AndTheyComeBack()
    {
        await using HostSystem system = await HostSystem.StartAsync();
        await system.BackUpAsync();
        await system.Database.ExecuteAsync("INSERT INTO trades SELECT i, 'after the backup' FROM generate_series(20001, 20100) AS i");
        string rows = await system.DigestAsync();
        string instant = await InstantAsync(system);
        await system.Database.ExecuteAsync("DELETE FROM trades WHERE id % 2 = 0");
        await system.FlushAsync();
        string[] run = ["runbook", "run", "databaseCorruption", "--target-time", instant];

        JsonElement planned = await system.JsonAsync([.. run, "--dry-run"]);
        Assert.Equal(["assess", "emergency-backup", "restore-database", "verify", "measure", "full-backup"], KeysOf(planned));
        Assert.Null(await PlanJournals.FindOpenAsync(await system.OpenAsync(), "orders", null, CancellationToken.None));
        // The server is asked for what it still has, and then has to be stopped by whoever supervises it.
        (int exitCode, string text, string error) = await system.RunAsync([.. run, "--yes", "--json"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.TargetInUse).ExitCode, exitCode);
        JsonElement halfway = JsonDocument.Parse(text).RootElement;
        Assert.Contains("It stays until somebody removes it", Detail(halfway, "emergency-backup"), StringComparison.Ordinal);
        Assert.Equal("NotReached", State(halfway, "verify"));
        await system.Database.StopAsync();
        JsonElement done = await system.JsonAsync([.. run, "--yes"]);

        Assert.Equal("AlreadyDone", State(done, "emergency-backup"));
        Assert.Equal(rows, await system.DigestAsync());
        Assert.Equal("Succeeded", State(done, "full-backup"));
        string[] kinds = [.. (await system.JsonAsync("backup", "list")).EnumerateArray()
            .Where(static backup => backup.GetProperty("component").GetString() == "Database").Select(static backup => backup.GetProperty("kind").GetString()!)];
        Assert.Equal(["Emergency", "Full", "Full"], kinds.Order(StringComparer.Ordinal));
        Assert.Contains("Stop it then", error, StringComparison.Ordinal);
        // It waited for a person in between, so how long it takes is not known by it; how long its steps take is.
        JsonElement book = await system.JsonAsync("runbook", "show", "databaseCorruption");
        Assert.Equal(JsonValueKind.Null, book.GetProperty("measuredSeconds").ValueKind);
        Assert.True(book.GetProperty("estimatedSeconds").GetDouble() > 0);
        Assert.All(
            book.GetProperty("steps").EnumerateArray().Where(static step => step.GetProperty("command").GetString()!.StartsWith("Backup-", StringComparison.Ordinal)),
            static step => Assert.True(step.GetProperty("measuredSeconds").GetDouble() > 0));
    }

    [Fact]
    public async Task DataCenterFailure_IsAskedForWhereTheSystemAnswers_AndMeasuredWhenItIsDone()
    {
        await using HostSystem system = await HostSystem.StartAsync();
        await system.BackUpAsync();
        await system.FlushAsync();
        (string rows, string keys) = (await system.DigestAsync(), await system.KeysAsync());

        // Somebody says yes to the plan, and nobody that a living system is to be replaced.
        (int alive, string _, string refused) = await RefusedAsync(system, "runbook", "run", "dataCenterFailure", "--yes");
        await system.DestroyAsync();
        JsonElement done = await system.JsonAsync("runbook", "run", "dataCenterFailure", "--yes");
        output.WriteLine(string.Join('\n', done.EnumerateArray().Select(static step => $"{step.GetProperty("step")}: {step.GetProperty("detail")}")));

        Assert.NotEqual(0, alive);
        output.WriteLine(refused);
        Assert.All(done.EnumerateArray(), static step => Assert.Equal("Succeeded", step.GetProperty("state").GetString()));
        Assert.Equal((rows, keys), (await system.DigestAsync(), await system.KeysAsync()));
        Assert.Equal("Met", Step(done, "measure").GetProperty("recovery").GetProperty("verdict").GetString());
        JsonElement book = await system.JsonAsync("runbook", "show", "dataCenterFailure");
        Assert.True(book.GetProperty("estimatedSeconds").GetDouble() > 0);
        Assert.True(book.GetProperty("measuredSeconds").GetDouble() >= Step(done, "measure").GetProperty("recovery").GetProperty("durationSeconds").GetDouble() - 1);
        Assert.Equal(1, book.GetProperty("measuredCount").GetInt32());
        Assert.Equal(JsonValueKind.Null, (await system.JsonAsync("runbook", "show", "ransomware")).GetProperty("measuredSeconds").ValueKind);
    }

    [MotoFact]
    public async Task Ransomware_RepositoryIsEncryptedToo_TheLockedCopyIsProvenAndRestored()
    {
        string bucket = await moto.CreateBucketAsync(objectLock: true);
        string copy = $"s3://{bucket}/vault?region=us-east-1&endpoint={moto.Endpoint}";
        Dictionary<string, string> environment = new() { ["AWS_ACCESS_KEY_ID"] = "smcdr-tests", ["AWS_SECRET_ACCESS_KEY"] = "smcdr-tests" };
        await using HostSystem system = await HostSystem.StartAsync(2000, copy, environment);
        await system.BackUpAsync();
        (string rows, string keys) = (await system.DigestAsync(), await system.KeysAsync());
        string instant = await InstantAsync(system);
        await system.Database.ExecuteAsync("UPDATE trades SET payload = 'PAY US'");
        await system.Redis.ExecuteAsync("FLUSHALL");
        await system.FlushAsync();
        // What they did is backed up like anything else, and the log up to there is in the copy.
        await system.BackUpAsync();
        string[] run = ["runbook", "run", "ransomware", "--target-time", instant, "--yes"];
        (int open, string _, string question) = await RefusedAsync(system, run);
        await using (S3ObjectStore store = moto.Open($"s3://{bucket}/vault?region=us-east-1"))
        {
            Repository vault = await Repository.OpenAsync(store, CancellationToken.None);
            foreach (JsonElement backup in (await system.JsonAsync("backup", "list")).EnumerateArray())
            {
                await new BackupProtections(vault).LockAsync(
                    Enum.Parse<Component>(backup.GetProperty("component").GetString()!), backup.GetProperty("id").GetString()!,
                    DateTimeOffset.UtcNow.AddDays(7), ObjectLockMode.Governance, NullObserver.Instance, CancellationToken.None);
            }
        }

        await system.DestroyAsync();
        foreach (string pack in Directory.GetFiles(system.RepositoryPath, "*pack*", SearchOption.AllDirectories))
        {
            await File.WriteAllBytesAsync(pack, new byte[new FileInfo(pack).Length]);
        }

        JsonElement done = await system.JsonAsync(run);
        output.WriteLine(string.Join('\n', done.EnumerateArray().Select(static step => $"{step.GetProperty("step")}: {step.GetProperty("detail")}")));

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, open);
        Assert.Contains("that is locked", question, StringComparison.Ordinal);
        Assert.Equal(
            ["assess", "hold-backups", "verify-backups", "test-recovery", "restore-database", "restore-redis", "restore-filestore-config", "verify", "measure", "full-backup"],
            done.EnumerateArray().Select(static step => step.GetProperty("step").GetString()!).OrderBy(static key => Array.IndexOf(s_ransomware, key)));
        Assert.Contains("Every byte of them is what it was", Detail(done, "verify-backups"), StringComparison.Ordinal);
        Assert.DoesNotContain("Locked: none", Detail(done, "hold-backups"), StringComparison.Ordinal);
        Assert.Equal((rows, keys), (await system.DigestAsync(), await system.KeysAsync()));
        // What is noted of it is where the site keeps its notes, and not in the vault.
        Assert.Single(Directory.GetFiles(Path.Combine(system.RepositoryPath, "certificates", "orders")));
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(system.RepositoryPath, "recoveries", "orders")));
    }

    [Fact]
    public async Task PodFailure_RestoresOnlyWhatDoesNotComeBack_AndAsksFirst()
    {
        await using HostSystem system = await HostSystem.StartAsync(2000);
        await system.BackUpAsync();
        await system.FlushAsync();
        string keys = await system.KeysAsync();
        string password = system.SitePath + ".password";
        await File.WriteAllTextAsync(password, system.Database.Password);
        File.SetUnixFileMode(password, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        string path = system.SitePath + ".here.yaml";
        await File.WriteAllTextAsync(
            path, (await File.ReadAllTextAsync(system.SitePath)).Replace("env:SMCDR_TEST_PASSWORD", $"file:{password}", StringComparison.Ordinal));
        SitePlanContext context = await SitePlanContext.OpenAsync(SiteFile.Load(path), new SecretResolver(), NullObserver.Instance, CancellationToken.None);
        RunbookOptions options = new() { Scenario = IncidentScenario.PodFailure, Patience = TimeSpan.Zero };

        (RunbookRequest well, SitePlan nothing) = await PrepareAsync(context, options);
        Assert.Empty(well.Questions);
        Assert.Equal(["assess", "verify", "measure"], nothing.Plan.Steps.Select(static step => step.Key));
        List<PlanStepResult> looked = await nothing.RunAsync(CancellationToken.None).ToListAsync();
        Assert.All(looked, static step => Assert.Equal(PlanStepState.Succeeded, step.State));

        await OfflineRedisAsync(system);
        (RunbookRequest sick, SitePlan plan) = await PrepareAsync(context, options);
        string question = Assert.Single(sick.Questions);
        Assert.Contains("does not come back by itself", question, StringComparison.Ordinal);
        Assert.Equal(["assess", "restore-redis", "verify", "measure"], plan.Plan.Steps.Select(static step => step.Key));
        List<PlanStepResult> done = await plan.RunAsync(CancellationToken.None).ToListAsync();

        Assert.All(done, static step => Assert.Equal(PlanStepState.Succeeded, step.State));
        Assert.Equal(keys, await system.KeysAsync());
        RunbookInfo book = await SiteRunbooks.GetAsync(context.Site, context.Repository, IncidentScenario.PodFailure, CancellationToken.None);
        // The run that found nothing to do says nothing of one that does.
        Assert.Equal(1, book.MeasuredCount);
    }

    [Fact]
    public async Task RegionFailure_IsTheFailoverOfTheSite()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.Primary.KillAsync();

        JsonElement done = await lab.SucceedAsync("runbook", "run", "regionFailure", "--yes");

        Assert.Equal("Succeeded", State(done, "fence-region"));
        Assert.Equal("Succeeded", State(done, "promote-database"));
        Assert.False(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.Equal(1, (await lab.SucceedAsync("runbook", "show", "regionFailure")).GetProperty("measuredCount").GetInt32());
    }

    [Theory]
    [InlineData(IncidentScenario.Ransomware, null, null)]
    [InlineData(IncidentScenario.RegionFailure, "2026-11-05T10:00:00Z", null)]
    [InlineData(IncidentScenario.PodFailure, "2026-11-05T10:00:00Z", null)]
    [InlineData(IncidentScenario.DatabaseCorruption, null, "west")]
    [InlineData(IncidentScenario.Other, null, null)]
    public void Request_WithoutWhatMustBeDecided_OrWithWhatIsNotAsked_IsRefused(IncidentScenario scenario, string? time, string? region)
    {
        RunbookOptions options = new()
        {
            Scenario = scenario,
            TargetTime = time is null ? null : DateTimeOffset.Parse(time, CultureInfo.InvariantCulture),
            Region = region,
        };

        SmcException e = Assert.Throws<SmcException>(() => new RunbookRequest(options));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, e.Code);
    }

    private static readonly string[] s_ransomware =
    [
        "assess", "hold-backups", "verify-backups", "test-recovery", "restore-database", "restore-redis", "restore-filestore-config", "verify", "measure",
        "full-backup",
    ];

    private static async Task<(RunbookRequest Request, SitePlan Plan)> PrepareAsync(SitePlanContext context, RunbookOptions options)
    {
        RunbookRequest request = new(options);
        return (request, await SitePlans.PrepareAsync(context, request.Plan, new SitePlanOptions(), CancellationToken.None));
    }

    /// <summary>An instant after all that was committed, and before what comes.</summary>
    private static async Task<string> InstantAsync(HostSystem system)
    {
        DateTime time = await system.Database.ScalarAsync<DateTime>("SELECT clock_timestamp()");
        await Task.Delay(TimeSpan.FromSeconds(1.1));
        return time.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
    }

    private static async Task<(int ExitCode, string Output, string Error)> RefusedAsync(HostSystem system, params string[] arguments)
    {
        (int exitCode, string text, string error) = await system.RunAsync(arguments);
        Assert.NotEqual(0, exitCode);
        Assert.Null(await PlanJournals.FindOpenAsync(await system.OpenAsync(), "orders", null, CancellationToken.None));
        return (exitCode, text, error);
    }

    private static async Task OfflineRedisAsync(HostSystem system)
    {
        await OfflineWorld.KillInAsync(system.Redis.DataDirectory);
        foreach (string entry in Directory.GetFileSystemEntries(system.Redis.DataDirectory).Where(static path => !path.EndsWith(".conf", StringComparison.Ordinal)))
        {
            if (Directory.Exists(entry))
            {
                Directory.Delete(entry, recursive: true);
            }
            else
            {
                File.Delete(entry);
            }
        }
    }

    private static IEnumerable<string> KeysOf(JsonElement steps) => steps.EnumerateArray().Select(static step => step.GetProperty("step").GetString()!);

    private static JsonElement Step(JsonElement steps, string key) => steps.EnumerateArray().Single(step => step.GetProperty("step").GetString() == key);

    private static string State(JsonElement steps, string key) => Step(steps, key).GetProperty("state").GetString()!;

    private static string Detail(JsonElement steps, string key) => Step(steps, key).GetProperty("detail").GetString()!;
}
