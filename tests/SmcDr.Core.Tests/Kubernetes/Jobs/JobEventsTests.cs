using System.Reflection;
using System.Text.Json;
using SmcDr.Cli.Output;
using SmcDr.Core.Kubernetes.Jobs;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Cli;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Kubernetes.Jobs;

/// <summary>What a command writes as lines of JSON is the same when it was read.</summary>
public sealed class JobEventsTests
{
    private readonly StringWriter _log = new();
    private readonly RecordingObserver _observer = new();
    private readonly List<BackupInfo> _results = [];
    private readonly ManualClock _clock = new();

    [Fact]
    public async Task TakeAsync_EverythingThatACommandTells_IsTheSameHere()
    {
        BackupInfo backup = new()
        {
            Id = "20261122T081500Z-full", Component = "Database", Kind = "Full", State = "Partial", Repository = "s3://b", StartTime = _clock.GetUtcNow(),
            Duration = TimeSpan.FromMilliseconds(1234.5), Databases = ["a\nb", "ü"], Missing = ["x"], HelmReleases = [], SizeBytes = 1L << 40, SkewSeconds = -1.5,
        };
        OperationProgress progress = new("Base backup", "reading", 5, 10) { Parent = "All" };
        CommandEventWriter writer = new(_log, _clock);
        writer.Progress(progress);
        // Within a second only the beginning and the end are told.
        writer.Progress(progress with { Done = 6 });
        writer.Warning("It \"burns\".");
        writer.Verbose("because");
        writer.Result(backup);
        writer.Progress(progress with { Done = 10, IsCompleted = true });
        writer.Error(new SmcException(SmcErrorCode.StorageFull, "No room.", recommendation: "Make some.", target: "s3://b"));
        writer.Exit(22);
        JobEvents<BackupInfo> events = await ReadAsync(_log.ToString().Split('\n'));

        Assert.Equal(7, events.Last);
        Assert.Equal([progress, progress with { Done = 10, IsCompleted = true }], _observer.Progresses);
        Assert.Equal(["It \"burns\"."], _observer.Warnings);
        Assert.Equal(["because"], _observer.Verboses);
        BackupInfo read = Assert.Single(_results);
        // Lists are equal by what is in them.
        Assert.Equal(ResultJson.Serialize(backup), ResultJson.Serialize(read));
        Assert.Equal((backup.Duration, backup.StartTime), (read.Duration, read.StartTime));
        SmcException failure = events.Failure!.ToException(SmcErrorCode.JobFailed);
        Assert.Equal((SmcErrorCode.StorageFull, "No room.", "Make some.", "s3://b"), (failure.Code, failure.Message, failure.Recommendation, failure.Target));
        Assert.Equal(22, events.ExitCode);
    }

    [Fact]
    public async Task TakeAsync_LinesThatComeAgainOrWereCut_CountOnce()
    {
        CommandEventWriter writer = new(_log, _clock);
        writer.Warning("one");
        writer.Warning("two");
        writer.Warning("three");
        string[] lines = _log.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);

        JobEvents<BackupInfo> events = await ReadAsync([lines[0], lines[1][..20], lines[0], lines[1], lines[2], lines[1], lines[2]]);

        Assert.Equal(["one", "two", "three"], _observer.Warnings);
        Assert.Equal((3L, "", null), (events.Last, events.OtherText, events.ExitCode));
    }

    [Fact]
    public async Task TakeAsync_WhatIsNoEvent_IsKeptForTheError()
    {
        JobEvents<BackupInfo> events = await ReadAsync(["{}", "Unhandled exception.", "   at Main\u001b[31m", "{\"number\":\"x", "Aborted"]);

        Assert.Equal("Unhandled exception at Main [31m Aborted", events.OtherText);
        Assert.Equal(0, events.Last);
    }

    [Fact]
    public async Task TakeAsync_ResultOfAnotherVersion_IsAnErrorThatSaysSo()
    {
        new CommandEventWriter(_log, _clock).Result(new { id = "only an id" });

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => ReadAsync([_log.ToString()]));

        Assert.Equal(SmcErrorCode.JobFailed, failure.Code);
        Assert.Contains("version", failure.Recommendation, StringComparison.Ordinal);
        Assert.Equal(SmcErrorCode.JobFailed, new CommandFailure("OfTheFuture", "m", "r", null).ToException(SmcErrorCode.JobFailed).Code);
    }

    [Fact]
    public async Task JsonLines_CommandThatFails_TellsTheErrorAndTheExitCodeLast()
    {
        using TemporaryDirectory directory = new();
        await File.WriteAllTextAsync(
            Path.Combine(directory.Path, "smcdr.yaml"),
            $"name: none\nrepository: {{ location: \"file://{directory.Path}/none\" }}\nregions: {{ here: {{ role: primary }} }}\n");

        CliRun run = await CliRun.InAsync(directory.Path, ["test", "backup", "--json-lines"]);
        CommandEvent[] told = [.. run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => CommandEvent.TryParse(line)!)];
        CliRun alone = await CliRun.InAsync(directory.Path, ["test", "backup", "--cancel-on-stop"]);

        Assert.Equal("", run.Error);
        Assert.Equal("RepositoryNotFound", Assert.Single(told, static one => one.Kind == CommandEventKind.Error).Error!.Code);
        Assert.Equal((CommandEventKind.Exit, SmcErrors.Get(SmcErrorCode.RepositoryNotFound).ExitCode), (told[^1].Kind, told[^1].ExitCode));
        Assert.Equal(run.ExitCode, told[^1].ExitCode);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, alone.ExitCode);
    }

    [Theory]
    [InlineData(typeof(BackupInfo))]
    [InlineData(typeof(BackupTestResult))]
    [InlineData(typeof(RecoveryTestResult))]
    [InlineData(typeof(WalStreamStatus))]
    public void ResultJson_EveryPropertyOfAResult_ComesBack(Type type)
    {
        object filled = Fill(type);
        string text = (string)typeof(ResultJson).GetMethods().Single(static method => method.Name == nameof(ResultJson.Serialize))
            .MakeGenericMethod(type).Invoke(null, [filled, false])!;

        object read = typeof(ResultJson).GetMethod(nameof(ResultJson.Deserialize), [typeof(string)])!.MakeGenericMethod(type).Invoke(null, [text])!;

        foreach (PropertyInfo property in type.GetProperties())
        {
            Assert.Equal(JsonSerializer.Serialize(property.GetValue(filled)), JsonSerializer.Serialize(property.GetValue(read)));
        }
    }

    /// <summary>A record none of whose properties has its default.</summary>
    private static object Fill(Type type)
    {
        ConstructorInfo constructor = type.GetConstructors().OrderBy(static one => one.GetParameters().Length).First();
        object record = constructor.Invoke([.. constructor.GetParameters().Select(static parameter => Value(parameter.ParameterType))]);
        foreach (PropertyInfo property in type.GetProperties().Where(static property => property.CanWrite))
        {
            property.SetValue(record, Value(property.PropertyType));
        }

        return record;
    }

    private static object Value(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type == typeof(string) ? "text \"ü\""
            : type == typeof(bool) ? true
            : type == typeof(int) ? 7
            : type == typeof(long) ? 1L << 50
            : type == typeof(double) ? 1.25
            : type == typeof(TimeSpan) ? TimeSpan.FromSeconds(3.5)
            : type == typeof(DateTimeOffset) ? new DateTimeOffset(2026, 11, 5, 10, 0, 0, 123, TimeSpan.Zero)
            : type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? List(type.GetGenericArguments()[0])
            : Fill(type);
    }

    private static Array List(Type item)
    {
        Array list = Array.CreateInstance(item, 1);
        list.SetValue(Value(item), 0);
        return list;
    }

    private async Task<JobEvents<BackupInfo>> ReadAsync(IEnumerable<string> lines)
    {
        JobEvents<BackupInfo> events = new(_observer, null, result =>
        {
            _results.Add(result);
            return Task.CompletedTask;
        });
        foreach (string line in lines)
        {
            await events.TakeAsync(line.TrimEnd());
        }

        return events;
    }
}
