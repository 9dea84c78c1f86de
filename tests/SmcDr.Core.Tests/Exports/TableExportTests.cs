using SmcDr.Core.Exports;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Recovery;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Exports;

/// <summary>Tables as they were at an instant, in files.</summary>
public sealed class TableExportTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    private const string Emptied = "Odd schema.To be.emptied";

    [Fact]
    public async Task RunAsync_RowsThatWereDeleted_AreExportedAsTheyWereAnInstantBefore()
    {
        string work = WorkDirectory();
        string output = Path.Combine(work, "out");
        TableExportOptions options = new() { Database = "postgres", Tables = [Emptied, "parted"], OutDirectory = output };

        List<TableExportResult> results = await ExportAsync(
            work, RecoveryTarget.AtTime(world.Timeline[RecoveryWorld.DeletedBefore - 2].Time), options);

        TableExportResult emptied = results[0];
        Assert.Equal(("Odd schema", "To be.emptied", 5L, "Csv", "Time"), (emptied.Schema, emptied.Table, emptied.RowCount, emptied.Format, emptied.TargetKind));
        Assert.Equal(Path.Combine(output, "Odd schema.To be.emptied.csv"), emptied.Path);
        string content = await File.ReadAllTextAsync(emptied.Path);
        Assert.StartsWith("id,\"a \"\"b\"\"\"\n1,\"one, \"\"two\"\"\nüñí 1\"\n", content, StringComparison.Ordinal);
        Assert.Equal(new FileInfo(emptied.Path).Length, emptied.SizeBytes);
        Assert.Equal(world.BackupId, emptied.BackupId);
        Assert.True(emptied.RecoveredTime <= world.Timeline[RecoveryWorld.DeletedBefore - 2].Time);
        Assert.Equal(("parted", 20L), (results[1].Table, results[1].RowCount));
        Assert.Equal(21, (await File.ReadAllLinesAsync(results[1].Path)).Length);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(emptied.Path));
        }

        Assert.Equal(output, Assert.Single(Directory.GetFileSystemEntries(work)));
    }

    [Fact]
    public async Task RunAsync_AfterTheDeletion_HasNoRows()
    {
        string work = WorkDirectory();
        string file = Path.Combine(work, "all.txt");

        TableExportResult result = Assert.Single(await ExportAsync(
            work, RecoveryTarget.Latest, new() { Database = "postgres", Tables = [Emptied], OutFile = file, Format = TableExportFormat.Text }));

        Assert.Equal((0L, 0L, file), (result.RowCount, result.SizeBytes, result.Path));
    }

    [Fact]
    public async Task RunAsync_Dump_HoldsPartitionsToo_AndBinaryIsCopyFormat()
    {
        string work = WorkDirectory();
        string file = Path.Combine(work, "parted.dump");

        TableExportResult result = Assert.Single(await ExportAsync(
            work, RecoveryTarget.Immediate, new() { Database = "postgres", Tables = ["public.parted"], OutFile = file, Format = TableExportFormat.Dump }));

        Assert.Equal(20, result.RowCount);
        (int exitCode, string list, _) = await TestPrograms.TryRunAsync("pg_restore", ["--list", Readable(file)]);
        Assert.Equal(0, exitCode);
        Assert.Contains("TABLE DATA public parted_low", list, StringComparison.Ordinal);
        Assert.Contains("TABLE DATA public parted_high", list, StringComparison.Ordinal);

        string binary = Path.Combine(work, "t.pgcopy");
        await ExportAsync(work, RecoveryTarget.Immediate, new() { Database = "postgres", Tables = ["t"], OutFile = binary, Format = TableExportFormat.Binary });
        Assert.True((await File.ReadAllBytesAsync(binary)).AsSpan().StartsWith("PGCOPY\n"u8));
    }

    [Fact]
    public async Task RunAsync_FileExists_IsRefusedBeforeAnythingIsRecovered_UnlessForced()
    {
        string work = WorkDirectory();
        string file = Path.Combine(work, "t.csv");
        await File.WriteAllTextAsync(file, "precious");
        TableExportOptions options = new() { Database = "postgres", Tables = ["t"], OutFile = file };

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => ExportAsync(work, RecoveryTarget.Immediate, options));
        Assert.Equal((SmcErrorCode.TargetNotEmpty, file), (e.Code, e.Target));
        Assert.Equal("precious", await File.ReadAllTextAsync(file));

        await ExportAsync(work, RecoveryTarget.Immediate, options with { Force = true });
        Assert.Equal(1 + RecoveryWorld.RowsInBackup, (await File.ReadAllLinesAsync(file)).Length);
    }

    [Theory]
    [InlineData("postgres", "no such table")]
    [InlineData("no such database", "t")]
    public async Task RunAsync_NothingOfThatName_IsRefused_AndLeavesNothing(string database, string table)
    {
        string work = WorkDirectory();

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => ExportAsync(
            work, RecoveryTarget.Immediate, new() { Database = database, Tables = ["t", table], OutDirectory = Path.Combine(work, "out") }));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, e.Code);
        Assert.Empty(Directory.GetFileSystemEntries(work));
    }

    [Fact]
    public async Task RunAsync_Cancelled_LeavesNothing()
    {
        string work = WorkDirectory();
        using CancellationTokenSource stop = new();
        string output = Path.Combine(work, "out");

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (TableExportResult result in TableExport.RunAsync(
                Side(work, RecoveryTarget.Immediate),
                new() { Database = "postgres", Tables = ["t", "parted"], OutDirectory = output },
                NullObserver.Instance,
                stop.Token))
            {
                // After the first table, before the second.
                await stop.CancelAsync();
            }
        });

        Assert.Equal(output, Assert.Single(Directory.GetFileSystemEntries(work)));
        Assert.Equal("public.t.csv", Path.GetFileName(Assert.Single(Directory.GetFileSystemEntries(output))));
    }

    private static string Readable(string file)
    {
        TestPrograms.GiveToServer(file);
        return file;
    }

    private async Task<List<TableExportResult>> ExportAsync(string work, RecoveryTarget target, TableExportOptions options)
    {
        List<TableExportResult> results = [];
        await foreach (TableExportResult result in TableExport.RunAsync(Side(work, target), options, NullObserver.Instance, default))
        {
            results.Add(result);
        }

        return results;
    }

    private SideInstanceOptions Side(string work, RecoveryTarget target) => new()
    {
        Repository = world.Repository,
        WorkDirectory = work,
        BinDirectory = TestPrograms.BinDirectory,
        OsUser = TestPrograms.OsUser,
        Target = target,
    };

    private string WorkDirectory()
    {
        string path = Path.Combine(world.Root, Guid.NewGuid().ToString("N")[..6]);
        Directory.CreateDirectory(path);
        TestPrograms.GiveToServer(path);
        return path;
    }
}
