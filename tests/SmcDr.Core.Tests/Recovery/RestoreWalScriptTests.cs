using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>The script's exit codes: 1 lets PostgreSQL promote, so it may only mean "surely absent" (traps 7.1.23 to 25).</summary>
public sealed class RestoreWalScriptTests : IDisposable
{
    private const string Name = "000000010000000000000003";

    private readonly TemporaryDirectory _root = new();
    private readonly string _state;
    private readonly string _wal;
    private readonly string _target;

    public RestoreWalScriptTests()
    {
        // A path as awkward as a path can be.
        _state = Path.Combine(_root.Path, "it's 100% \"odd\" $HOME");
        _wal = Path.Combine(_state, RecoveryScripts.StagingName);
        _target = Path.Combine(_root.Path, "RECOVERYXLOG");
        Directory.CreateDirectory(_wal);
        File.WriteAllText(Path.Combine(_state, RecoveryScripts.RestoreWalName), RecoveryScripts.RestoreWal);
    }

    public void Dispose() => _root.Dispose();

    [Fact]
    public async Task Present_IsCopied_AndStaysStaged()
    {
        Stage(Name, "content");

        Assert.Equal(0, await RunAsync(Name));
        Assert.Equal("content", await File.ReadAllTextAsync(_target));
        Assert.True(File.Exists(Path.Combine(_wal, Name)));
        Assert.False(File.Exists(_target + ".smcdr"));
    }

    [Fact]
    public async Task AbsentAndComplete_IsSurelyAbsent()
    {
        Stage(RecoveryScripts.CompleteName, "000000010000000000000002\n");

        Assert.Equal(1, await RunAsync(Name));
        Assert.Equal(1, await RunAsync("00000002.history"));
        Assert.False(File.Exists(_target));
    }

    [Fact]
    public async Task ListedAsCompleteButRemoved_IsUndecided()
    {
        Stage(RecoveryScripts.CompleteName, $"000000010000000000000002\n{Name}\n");

        Assert.Equal(126, await RunAsync(Name));
    }

    [Fact]
    public async Task NobodyIsStaging_IsUndecided() => Assert.Equal(126, await RunAsync(Name));

    [Fact]
    public async Task StagingFolderGone_IsUndecided()
    {
        Directory.Delete(_wal);

        Assert.Equal(126, await RunAsync(Name));
    }

    [Fact]
    public async Task StagingFailed_IsUndecided_ForWhatIsMissingOnly()
    {
        Stage(RecoveryScripts.FailedName, "");
        Stage(RecoveryScripts.HeartbeatName, "1 1\n");
        Stage("000000010000000000000002", "content");

        Assert.Equal(126, await RunAsync(Name));
        Assert.Equal(0, await RunAsync("000000010000000000000002"));
    }

    [Fact]
    public async Task StagingProcessDied_IsUndecided()
    {
        // Its last heartbeat stands there and never changes.
        Stage(RecoveryScripts.HeartbeatName, "4711 12\n");

        Assert.Equal(126, await RunAsync(Name, staleSeconds: 2));
    }

    [Fact]
    public async Task InFlight_WaitsUntilItIsThere()
    {
        Stage(RecoveryScripts.HeartbeatName, "1 1\n");
        Task<int> run = RunAsync(Name, staleSeconds: 60);

        Stage(Name, "content");

        Assert.Equal(0, await run);
    }

    [Fact]
    public async Task InFlight_CompletedWithoutIt_IsSurelyAbsent()
    {
        Stage(RecoveryScripts.HeartbeatName, "1 1\n");
        Task<int> run = RunAsync(Name, staleSeconds: 60);

        Stage(RecoveryScripts.CompleteName, "");

        Assert.Equal(1, await run);
    }

    [Fact]
    public async Task DestinationCannotBeWritten_IsUndecided()
    {
        Stage(Name, "content");

        Assert.Equal(126, await RunAsync(Name, target: Path.Combine(_root.Path, "missing", "RECOVERYXLOG")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../secret")]
    [InlineData(".complete")]
    [InlineData("a b")]
    [InlineData("$(id)")]
    [InlineData("0000'0001")]
    [InlineData("-rf")]
    [InlineData("0000\n0001")]
    public async Task NameThatIsNoWalFile_IsRefused(string name)
    {
        Stage(RecoveryScripts.CompleteName, "");

        Assert.Equal(126, await RunAsync(name));
    }

    [Fact]
    public async Task RestoreCommand_OddPath_WorksThroughPostgresqlsReplacementAndAShell()
    {
        Stage(Name, "content");
        string command = RecoveryScripts.RestoreCommand(_state)
            .Replace("%%", "\u0001", StringComparison.Ordinal)
            .Replace("%f", Name, StringComparison.Ordinal)
            .Replace("%p", _target, StringComparison.Ordinal)
            .Replace("\u0001", "%", StringComparison.Ordinal);

        ProgramResult result = await SmcDr.Core.Recovery.PostgresPrograms.RunFileAsync(
            "/bin/sh", ["-c", command], new ProgramOptions(), default);

        Assert.Equal(0, result.ExitCode);
        Assert.Equal("content", await File.ReadAllTextAsync(_target));
    }

    private void Stage(string name, string content)
    {
        string temporary = Path.Combine(_root.Path, "temporary");
        File.WriteAllText(temporary, content);
        File.Move(temporary, Path.Combine(_wal, name), overwrite: true);
    }

    private async Task<int> RunAsync(string name, int staleSeconds = 1, string? target = null)
    {
        ProgramResult result = await SmcDr.Core.Recovery.PostgresPrograms.RunFileAsync(
            "/bin/sh",
            [Path.Combine(_state, RecoveryScripts.RestoreWalName), name, target ?? _target],
            new ProgramOptions
            {
                Environment = new Dictionary<string, string>
                {
                    ["SMCDR_STALE_SECONDS"] = staleSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture),
                },
                TimeLimit = TimeSpan.FromSeconds(60),
            },
            default);
        return result.ExitCode;
    }
}
