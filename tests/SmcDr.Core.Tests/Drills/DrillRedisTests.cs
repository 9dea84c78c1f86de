using SmcDr.Core.Drills;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Drills;

public sealed class DrillRedisTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void FindProgram_DebiansToolsAlone_IsTheSameProgramByItsOtherName()
    {
        string tools = Create("tools/redis-check-rdb");
        Assert.Equal(tools, DrillRedis.FindProgram(null, SearchPath("none", "tools", "server")));
        string server = Create("server/redis-server");
        Assert.Equal(server, DrillRedis.FindProgram(null, SearchPath("none", "tools", "server")));
        Assert.Equal(tools, DrillRedis.FindProgram(Path.GetDirectoryName(tools), SearchPath("server")));
    }

    [Fact]
    public void FindProgram_Nowhere_IsNoneUnlessADirectoryWasNamed()
    {
        Assert.Null(DrillRedis.FindProgram(null, SearchPath("none")));
        Assert.Null(DrillRedis.FindProgram(null, null));
        SmcException error = Assert.Throws<SmcException>(() => DrillRedis.FindProgram(_directory.Path, Environment.GetEnvironmentVariable("PATH")));
        Assert.Equal(SmcErrorCode.ProgramNotFound, error.Code);
        Assert.Contains("RedisBinDirectory", error.Recommendation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64", "Redis 6.0.16 is too old")]
    [InlineData("An editor, version 9", "is no Redis server")]
    public async Task RunAsync_ProgramThatCannotBeUsed_IsLeftOutWithAReason(string version, string reason)
    {
        string program = Create("bin/redis-server", $"#!/bin/sh\necho '{version}'\n");
        DrillRecorder recorder = new(null);
        DrillRedis redis = new(program, _directory.Path, recorder, NullObserver.Instance);

        await redis.RunAsync(await OpenAsync(), CancellationToken.None);

        Assert.Contains(reason, redis.LeftOut, StringComparison.Ordinal);
        Assert.Empty(recorder.Steps);
        await redis.EndAsync();
    }

    [Fact]
    public async Task RunAsync_StoppedWhileItBacksUp_LeavesNoProcess()
    {
        using CancellationTokenSource stop = new();
        DrillRecorder recorder = new(new CallOn("Redis backup", stop.Cancel));
        DrillRedis redis = new(DrillRedis.FindProgram(null, Environment.GetEnvironmentVariable("PATH"))!, _directory.Path, recorder, NullObserver.Instance);
        try
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await redis.RunAsync(await OpenAsync(), stop.Token));
            Assert.NotEmpty(DrillDirectory.ProcessesIn(_directory.Path));
        }
        finally
        {
            await redis.EndAsync();
        }

        Assert.Empty(DrillDirectory.ProcessesIn(_directory.Path));
        Assert.Contains(recorder.Spans, static span => span.Lane == DrillLane.Redis);
    }

    private static Task<Repository> OpenAsync() => Repository.OpenOrCreateAsync(new MemoryObjectStore(), CancellationToken.None);

    private string SearchPath(params string[] names) => string.Join(Path.PathSeparator, names.Select(name => Path.Combine(_directory.Path, name)));

    private string Create(string name, string content = "")
    {
        string path = Path.Combine(_directory.Path, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, content);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return path;
    }

    private sealed class CallOn(string step, Action call) : IProgress<DrillStep>
    {
        public void Report(DrillStep value)
        {
            if (value.Outcome == "Running" && value.Name == step)
            {
                call();
            }
        }
    }
}
