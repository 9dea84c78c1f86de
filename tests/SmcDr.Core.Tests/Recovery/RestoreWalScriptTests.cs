using SmcDr.Core.Platform;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>The script's exit codes: 1 lets PostgreSQL promote, so it may only mean "surely absent" (traps 7.1.23 to 25).</summary>
public sealed class RestoreWalScriptTests : IDisposable
{
    private const string Name = "000000010000000000000003";

    /// <summary>That of a process that lives.</summary>
    private static readonly string Heartbeat = $"{Environment.ProcessId} 1\n";

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
    public async Task Present_IsGiven_AndStaysStaged()
    {
        Stage(Name, "content");

        Assert.Equal(0, await RunAsync(Name));
        Assert.Equal("content", await File.ReadAllTextAsync(_target));
        Assert.True(File.Exists(Path.Combine(_wal, Name)));
        Assert.False(File.Exists(_target + ".smcdr"));
    }

    [Fact]
    public async Task Present_OnTheSameFileSystem_IsNotCopied()
    {
        Stage(Name, "content");

        Assert.Equal(0, await RunAsync(Name));
        Assert.Equal(Posix.FindStatus(Path.Combine(_wal, Name))!.Value.Inode, Posix.FindStatus(_target)!.Value.Inode);
    }

    [Fact]
    public async Task Present_OnAnotherFileSystem_IsCopied()
    {
        Stage(Name, "content");
        string other = Path.Combine("/dev/shm", Path.GetFileName(_root.Path));
        Directory.CreateDirectory(other);
        try
        {
            string target = Path.Combine(other, "RECOVERYXLOG");
            Assert.NotEqual(Posix.FindStatus(_wal)!.Value.FileSystem, Posix.FindStatus(other)!.Value.FileSystem);

            Assert.Equal(0, await RunAsync(Name, target: target));
            Assert.Equal("content", await File.ReadAllTextAsync(target));
            Assert.Single(Directory.GetFiles(other));
        }
        finally
        {
            Directory.Delete(other, recursive: true);
        }
    }

    [Fact]
    public async Task Trap25_NotListed_IsSurelyAbsent_WhileOthersStillCome()
    {
        Stage(RecoveryScripts.ListName, "000000010000000000000002\n");
        Stage(RecoveryScripts.HeartbeatName, Heartbeat);

        Assert.Equal(1, await RunAsync(Name, staleSeconds: 60));
        Assert.Equal(1, await RunAsync("00000002.history", staleSeconds: 60));
        Assert.False(File.Exists(_target));
    }

    [Fact]
    public async Task Trap25_NotListed_AllIsStaged_IsSurelyAbsent()
    {
        Stage(RecoveryScripts.ListName, "000000010000000000000002\n");

        Assert.Equal(1, await RunAsync(Name));
    }

    [Fact]
    public async Task NotListed_NameThatIsPartOfAnother_IsSurelyAbsent()
    {
        Stage(RecoveryScripts.ListName, $"{Name}0\n0{Name}\n");

        Assert.Equal(1, await RunAsync(Name));
    }

    [Fact]
    public async Task ListedAndRemoved_IsUndecided_Trap23()
    {
        Stage(RecoveryScripts.ListName, $"000000010000000000000002\n{Name}\n");

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
    public async Task Trap25_StagingFailed_IsUndecided_ForWhatIsMissingOnly()
    {
        Stage(RecoveryScripts.ListName, $"000000010000000000000002\n{Name}\n");
        Stage(RecoveryScripts.FailedName, "");
        Stage(RecoveryScripts.HeartbeatName, Heartbeat);
        Stage("000000010000000000000002", "content");

        Assert.Equal(126, await RunAsync(Name));
        Assert.Equal(126, await RunAsync("000000010000000000000009"));
        Assert.Equal(0, await RunAsync("000000010000000000000002"));
    }

    [Fact]
    public async Task Trap25_StagingProcessHangs_IsUndecided()
    {
        // Its last heartbeat stands there and never changes.
        Stage(RecoveryScripts.ListName, Name + "\n");
        Stage(RecoveryScripts.HeartbeatName, Heartbeat);

        Assert.Equal(126, await RunAsync(Name, staleSeconds: 2));
    }

    [Fact]
    public async Task Trap25_StagingProcessWasKilled_IsUndecidedAtOnce()
    {
        Assert.True(Directory.Exists("/proc/1"), "Processes cannot be seen here.");
        using System.Diagnostics.Process child = System.Diagnostics.Process.Start("true");
        await child.WaitForExitAsync();
        Stage(RecoveryScripts.ListName, Name + "\n");
        Stage(RecoveryScripts.HeartbeatName, $"{child.Id} 7\n");

        // Were it to wait for another heartbeat, the time limit of the run would end the test.
        Assert.Equal(126, await RunAsync(Name, staleSeconds: 100_000));
    }

    [Fact]
    public async Task Trap25_InFlight_WaitsUntilItIsThere()
    {
        Stage(RecoveryScripts.ListName, Name + "\n");
        Stage(RecoveryScripts.HeartbeatName, Heartbeat);
        Task<int> run = RunAsync(Name, staleSeconds: 60);

        Stage(Name, "content");

        Assert.Equal(0, await run);
        Assert.Equal("content", await File.ReadAllTextAsync(_target));
    }

    [Fact]
    public async Task Trap25_InFlight_HalfWritten_IsNotServed()
    {
        Stage(RecoveryScripts.ListName, Name + "\n");
        Stage(RecoveryScripts.HeartbeatName, Heartbeat);
        Stage(".arriving-" + Name, "con");

        Assert.Equal(126, await RunAsync(Name, staleSeconds: 1));
        Assert.False(File.Exists(_target));
    }

    [Fact]
    public async Task NotYetListed_WaitsForTheList()
    {
        Stage(RecoveryScripts.HeartbeatName, Heartbeat);
        Task<int> run = RunAsync(Name, staleSeconds: 60);

        Stage(RecoveryScripts.ListName, "");

        Assert.Equal(1, await run);
    }

    [Fact]
    public async Task DestinationCannotBeWritten_IsUndecided_Trap23()
    {
        Stage(Name, "content");

        Assert.Equal(126, await RunAsync(Name, target: Path.Combine(_root.Path, "missing", "RECOVERYXLOG")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../secret")]
    [InlineData(".list")]
    [InlineData("a b")]
    [InlineData("$(id)")]
    [InlineData("0000'0001")]
    [InlineData("-rf")]
    [InlineData("0000\n0001")]
    public async Task NameThatIsNoWalFile_IsRefused(string name)
    {
        Stage(RecoveryScripts.ListName, "");

        Assert.Equal(126, await RunAsync(name));
    }

    [Fact]
    public async Task RestoreCommand_OddPath_WorksThroughPostgresqlsReplacementAndAShell_Trap27()
    {
        Stage(Name, "content");
        string command = RecoveryScripts.RestoreCommand(_state)
            .Replace("%%", "\u0001", StringComparison.Ordinal)
            .Replace("%f", Name, StringComparison.Ordinal)
            .Replace("%p", _target, StringComparison.Ordinal)
            .Replace("\u0001", "%", StringComparison.Ordinal);

        ProgramResult result = await SmcDr.Core.Recovery.HostProgram.RunAsync(
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
        ProgramResult result = await SmcDr.Core.Recovery.HostProgram.RunAsync(
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
