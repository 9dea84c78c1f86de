using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Postgres.Logical;

public sealed class DatabaseRecoveryTests(LogicalLab lab) : IClassFixture<LogicalLab>
{
    [Fact]
    public async Task Recovery_LostRows_BringsThemBackAndKeepsTheOldDatabase()
    {
        string name = await lab.NewDatabaseAsync();
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        await lab.Server.ExecuteAsync("TRUNCATE sales.customer CASCADE; INSERT INTO \"two\nlines\" VALUES ('after the backup')", name);
        await using NpgsqlConnection session = await lab.Server.OpenAsync(name);
        Writers writers = new();
        DatabaseRestoreResult result = await RecoverAsync(new DatabaseRecoveryOptions { Database = name, Writers = writers });
        Assert.Equal(before, await lab.ContentAsync(name));
        Assert.Equal("Verified", result.State);
        Assert.Equal(backup.Id, result.BackupId);
        Assert.Equal(
            ["Check", "Stop writers", "Emergency backup", "Close the database", "Keep the old database", "Create", "Restore", "Integrity report", "Allow connections", "Start writers"],
            result.Steps.Select(static step => step.Name));
        Assert.All(result.Steps, static step => Assert.Equal("Passed", step.Outcome));
        Assert.Equal(["suspend", "resume"], writers.Calls);

        // The old one is there, closed, as it was, and the emergency backup shows the same.
        await lab.Server.ExecuteAsync($"ALTER DATABASE {Sql.Name(result.PreviousDatabase!)} ALLOW_CONNECTIONS true");
        Assert.Equal(0, await lab.Server.ScalarAsync<long>("SELECT count(*) FROM sales.customer", result.PreviousDatabase!));
        BackupReader emergency = await lab.Repository.OpenBackupAsync(Component.Database, result.EmergencyBackupId!, CancellationToken.None);
        Assert.Equal("Emergency", emergency.Header.Kind);
        await lab.RestoreAsync(result.EmergencyBackupId!, new LogicalRestoreOptions { TargetDatabase = name + "e" });
        Assert.Equal(await lab.ContentAsync(result.PreviousDatabase!), await lab.ContentAsync(name + "e"));

        // The emergency backup is the newer one, and is not what a second recovery takes.
        Assert.Equal(backup.Id, (await PlanAsync(new DatabaseRecoveryOptions { Database = name })).Restore.BackupId);
    }

    [Fact]
    public async Task Recovery_RestoreFails_SaysWhereTheOldDatabaseIsAndHowToGoBack()
    {
        string name = await lab.NewDatabaseAsync(rows: 100_000);
        string before = await lab.ContentAsync(name);
        await lab.BackupAsync(name);
        DatabaseRecoveryPlan plan = await PlanAsync(new DatabaseRecoveryOptions { Database = name, SkipEmergencyBackup = true, Writers = new Writers() });
        RecordingObserver observer = new() { At = (1, () => LogicalBackupTests.Kill("pg_restore", name)) };
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseOnlyRecovery.RunAsync(
            plan, lab.Server.CreateConnector(), _ => Task.FromResult(lab.Repository), observer, CancellationToken.None));
        Assert.Contains("'Restore'", e.Message, StringComparison.Ordinal);
        Assert.Contains($"'{plan.PreviousDatabase}'", e.Message, StringComparison.Ordinal);
        Assert.Contains("writers are still stopped", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(name, await lab.DatabasesAsync());

        // What it says brings it back.
        string commands = e.Recommendation[(e.Recommendation.IndexOf("To go back: ", StringComparison.Ordinal) + "To go back: ".Length)..];
        foreach (string command in commands.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            await lab.Server.ExecuteAsync(command);
        }

        Assert.Equal(before, await lab.ContentAsync(name));
    }

    [Theory]
    [InlineData("Keep the old database")]
    [InlineData("Allow connections")]
    public async Task Recovery_AnswerOfARenameIsLost_SaysWhatIsTrue(string step)
    {
        string name = await lab.NewDatabaseAsync();
        string before = await lab.ContentAsync(name);
        await lab.BackupAsync(name);
        DatabaseRecoveryPlan plan = await PlanAsync(new DatabaseRecoveryOptions { Database = name, SkipEmergencyBackup = true, Writers = new Writers() });
        // Done before it is asked for, so that the command fails although it is as if it had been carried out.
        string from = step == "Keep the old database" ? name : Sql.WithSuffix(name, $"_restoring_{plan.Restore.BackupId[..16]}");
        string to = step == "Keep the old database" ? plan.PreviousDatabase! : name;
        StepObserver observer = new(step, () => lab.Server
            .ExecuteAsync($"ALTER DATABASE {Sql.Name(from)} RENAME TO {Sql.Name(to)}").GetAwaiter().GetResult());
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => DatabaseOnlyRecovery.RunAsync(
            plan, lab.Server.CreateConnector(), _ => Task.FromResult(lab.Repository), observer, CancellationToken.None));

        Assert.Contains($"'{step}'", e.Message, StringComparison.Ordinal);
        Assert.Contains("writers are still stopped", e.Message, StringComparison.Ordinal);
        if (step == "Allow connections")
        {
            Assert.Contains($"The restored database is in place and called '{name}'", e.Message, StringComparison.Ordinal);
            Assert.Equal(before, await lab.ContentAsync(name));
            return;
        }

        Assert.Contains($"unharmed and called '{plan.PreviousDatabase}'", e.Message, StringComparison.Ordinal);
        string commands = e.Recommendation[(e.Recommendation.IndexOf("To go back: ", StringComparison.Ordinal) + "To go back: ".Length)..];
        foreach (string command in commands.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            await lab.Server.ExecuteAsync(command);
        }

        Assert.Equal(before, await lab.ContentAsync(name));
    }

    [Fact]
    public async Task Recovery_StoppedWhileTheEmergencyBackupRuns_LeavesEverythingAsItWas()
    {
        string name = await lab.NewDatabaseAsync();
        string before = await lab.ContentAsync(name);
        await lab.BackupAsync(name);
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new() { At = (1, stop.Cancel) };
        DatabaseRecoveryPlan plan = await PlanAsync(new DatabaseRecoveryOptions { Database = name });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => DatabaseOnlyRecovery.RunAsync(
            plan, lab.Server.CreateConnector(), _ => Task.FromResult(lab.Repository), observer, stop.Token));
        Assert.Equal(before, await lab.ContentAsync(name));
    }

    [Fact]
    public async Task Recovery_DroppedDatabase_IsMadeAnew()
    {
        string name = await lab.NewDatabaseAsync();
        string before = await lab.ContentAsync(name);
        await lab.BackupAsync(name);
        await lab.Server.ExecuteAsync($"DROP DATABASE {name}");
        DatabaseRestoreResult result = await RecoverAsync(new DatabaseRecoveryOptions { Database = name });
        Assert.Null(result.PreviousDatabase);
        Assert.Equal(before, await lab.ContentAsync(name));
    }

    [Fact]
    public async Task Recovery_NoLogicalBackup_IsRefused()
    {
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => PlanAsync(new DatabaseRecoveryOptions { Database = "nosuch" }));
        Assert.Equal(SmcErrorCode.BackupNotFound, e.Code);
    }

    private Task<DatabaseRecoveryPlan> PlanAsync(DatabaseRecoveryOptions options) => DatabaseOnlyRecovery.PlanAsync(
        lab.Server.CreateConnector(),
        lab.Repository,
        options with { BinDirectory = PostgresPrograms.BinDirectory },
        NullObserver.Instance,
        CancellationToken.None);

    private async Task<DatabaseRestoreResult> RecoverAsync(DatabaseRecoveryOptions options) => await DatabaseOnlyRecovery.RunAsync(
        await PlanAsync(options), lab.Server.CreateConnector(), _ => Task.FromResult(lab.Repository), NullObserver.Instance, CancellationToken.None);

    private sealed class StepObserver(string step, Action then) : IOperationObserver
    {
        public void Verbose(string message)
        {
        }

        public void Warning(string message)
        {
        }

        public void Progress(OperationProgress progress)
        {
            if (progress.Status == step)
            {
                then();
            }
        }
    }

    private sealed class Writers : IDatabaseWriters
    {
        public List<string> Calls { get; } = [];

        public IReadOnlyList<string> Names { get; } = ["deployment/trading-engine"];

        public Task SuspendAsync(CancellationToken cancellationToken)
        {
            Calls.Add("suspend");
            return Task.CompletedTask;
        }

        public Task ResumeAsync(CancellationToken cancellationToken)
        {
            Calls.Add("resume");
            return Task.CompletedTask;
        }
    }
}
