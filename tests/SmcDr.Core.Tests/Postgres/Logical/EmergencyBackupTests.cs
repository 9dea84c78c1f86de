using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Postgres.Logical;

public sealed class EmergencyBackupTests(LogicalLab lab) : IClassFixture<LogicalLab>
{
    [Fact]
    public async Task EmergencyBackup_DamagedTable_SavesAllButItsRows()
    {
        string name = await lab.NewDatabaseAsync(rows: 20_000);
        string other = await lab.NewDatabaseAsync();
        await DamageAsync(name, "sales.customer");
        SmcException refused = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(name));
        Assert.Equal(SmcErrorCode.BackupInterrupted, refused.Code);

        RecordingObserver observer = new();
        BackupInfo backup = await lab.BackupAsync(new LogicalBackupOptions { Emergency = true, Databases = [name, other] }, observer);
        Assert.Equal("Emergency", backup.Kind);
        Assert.Equal("Partial", backup.State);
        Assert.EndsWith("-emergency", backup.Id, StringComparison.Ordinal);
        Assert.Contains(observer.Warnings, static warning => warning.Contains("\"sales\".\"customer\"", StringComparison.Ordinal));
        BackupReader reader = await lab.Repository.OpenBackupAsync(Component.Database, backup.Id, CancellationToken.None);
        Assert.Equal(["\"sales\".\"customer\""], reader.Header.Logical!.Databases.Single(database => database.Name == name).ExcludedTables);
        Assert.Contains("partial", LogicalLab.Read("list", lab.RepositoryDirectory), StringComparison.Ordinal);

        DatabaseRestoreResult result = await lab.RestoreAsync(
            backup.Id, new LogicalRestoreOptions { Databases = [name], TargetDatabase = name + "r", Tables = ["part"] });
        Assert.Equal(20_000, await lab.Server.ScalarAsync<long>("SELECT count(*) FROM part", name + "r"));
        Assert.Equal("Verified", result.State);
    }

    [Fact]
    public async Task EmergencyBackup_DatabaseWithoutCatalog_SavesTheOthers()
    {
        string name = await lab.NewDatabaseAsync();
        string other = await lab.NewDatabaseAsync();
        await DamageAsync(name, "pg_catalog.pg_attribute");
        BackupInfo backup = await lab.BackupAsync(new LogicalBackupOptions { Emergency = true, Databases = [name, other] });
        Assert.Equal("Partial", backup.State);
        Assert.Equal([other], backup.Databases);
        BackupReader reader = await lab.Repository.OpenBackupAsync(Component.Database, backup.Id, CancellationToken.None);
        Assert.Equal(name, Assert.Single(reader.Header.Logical!.Failures).Database);

        // Where nothing at all can be saved there is no backup.
        List<string> before = await lab.ObjectsAsync();
        await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(new LogicalBackupOptions { Emergency = true, Databases = [name] }));
        Assert.Equal(before, await lab.ObjectsAsync());
    }

    private async Task DamageAsync(string database, string table)
    {
        await lab.Server.ExecuteAsync("CHECKPOINT");
        string path = await lab.Server.ScalarAsync<string>($"SELECT pg_relation_filepath('{table}')", database);
        await lab.Server.StopAsync();
        await using (FileStream file = new(Path.Combine(lab.Server.DataDirectory, path), FileMode.Open, FileAccess.ReadWrite))
        {
            for (long at = 4000; at < file.Length; at += 8192)
            {
                file.Seek(at, SeekOrigin.Begin);
                file.Write("damaged by a test"u8);
            }
        }

        await lab.Server.ResumeAsync();
    }
}
