using System.Diagnostics;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>kill -9 at random moments: the repository is never wrong, and the same command, run again, succeeds.</summary>
public sealed class KillTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Kills = 15;

    private readonly string _root = Directory.CreateTempSubdirectory("smcdr-kill-").FullName;
    private PostgresServer _server = null!;
    private Dictionary<string, string> _environment = [];
    private string _site = "";

    private string RepositoryPath => Path.Combine(_root, "repository");

    public async Task InitializeAsync()
    {
        _server = await PostgresServer.StartAsync(new PostgresServerOptions());
        await _server.ExecuteAsync(
            "CREATE TABLE trades AS SELECT i AS id, md5(i::text) || md5((i * 7)::text) AS payload FROM generate_series(1, 300000) i");
        _environment = new Dictionary<string, string> { ["SMCDR_TEST_PASSWORD"] = _server.Password };
        _site = Path.Combine(_root, "smcdr.yaml");
        await File.WriteAllTextAsync(
            _site,
            $"""
            name: kill
            repository:
              location: file://{RepositoryPath}
            regions:
              here:
                role: primary
                database:
                  connection: "{_server.ConnectionString}"
                  password: env:SMCDR_TEST_PASSWORD
            """);
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task Backup_KilledAtRandomMoments_LeavesARightRepositoryAndSucceedsAgain()
    {
        string[] backup = ["--site", _site, "backup", "database", "--json"];
        Stopwatch watch = Stopwatch.StartNew();
        AssertSucceeded(await SmcdrProcess.RunAsync(_environment, backup));
        TimeSpan whole = watch.Elapsed;

        int killed = 0;
        while (killed < Kills)
        {
            using SmcdrProcess process = SmcdrProcess.Start(_environment, backup);
            TimeSpan moment = whole * Random.Shared.NextDouble();
            await Task.Delay(moment);
            killed += await process.KillAsync() ? 1 : 0;
            await AssertRepositoryIsRightAsync($"after a kill at {moment.TotalMilliseconds:0} ms");
        }

        AssertSucceeded(await SmcdrProcess.RunAsync(_environment, backup));
        await AssertRepositoryIsRightAsync("at the end");
    }

    [Fact]
    public async Task Restore_KilledAtRandomMoments_IsFinishedByTheSameCommand()
    {
        AssertSucceeded(await SmcdrProcess.RunAsync(_environment, "--site", _site, "backup", "database", "--json"));
        string expected = await DigestAsync(_server);

        int killed = 0;
        TimeSpan whole = TimeSpan.FromSeconds(6);
        for (int target = 0; killed < Kills; target++)
        {
            // A new directory each time the command got to its end before it was killed.
            string data = Path.Combine(_server.CreateDirectory($"target-{target}"), "data");
            string[] restore =
                ["--site", _site, "restore", "database", "--latest", "--data-directory", data, "--no-start", "--yes", "--json"];
            bool finished = false;
            for (int round = 0; round < 5 && killed < Kills && !finished; round++)
            {
                using SmcdrProcess process = SmcdrProcess.Start(_environment, restore);
                TimeSpan moment = whole * Random.Shared.NextDouble();
                await Task.Delay(moment);
                finished = !await process.KillAsync();
                killed += finished ? 0 : 1;
                output.WriteLine($"Target {target}, round {round}: {(finished ? "had finished" : "killed")} at {moment.TotalMilliseconds:0} ms.");
                if (finished)
                {
                    AssertSucceeded(await process.EndAsync());
                }
            }

            if (!finished)
            {
                Stopwatch watch = Stopwatch.StartNew();
                AssertSucceeded(await SmcdrProcess.RunAsync(_environment, restore));
                whole = watch.Elapsed;
            }

            await PostgresServerProof.AssertChecksumsAsync(data);
            await using PostgresServer recovered = await PostgresServer.StartAsync(
                new PostgresServerOptions { ExistingDataDirectory = data, Password = _server.Password });
            Assert.Equal(expected, await DigestAsync(recovered));
            await recovered.AssertSoundAsync();
        }
    }

    private static async Task<string> DigestAsync(PostgresServer server)
    {
        await using NpgsqlConnection connection = await server.OpenAsync();
        return (await DatabaseContent.ColumnAsync(
            connection, "SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY id)) FROM trades t"))[0];
    }

    private async Task AssertRepositoryIsRightAsync(string when)
    {
        await using DirectoryObjectStore store = new(RepositoryPath);
        Repository repository = await Repository.OpenAsync(store, CancellationToken.None);
        int complete = 0;
        int incomplete = 0;
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, CancellationToken.None))
        {
            Assert.Null(entry.Problem);
            if (!entry.IsComplete)
            {
                incomplete++;
                SmcException error = await Assert.ThrowsAsync<SmcException>(
                    () => repository.OpenBackupAsync(Component.Database, entry.Id, CancellationToken.None));
                Assert.Equal(SmcErrorCode.BackupIncomplete, error.Code);
                continue;
            }

            complete++;
            BackupReader reader = await repository.OpenBackupAsync(Component.Database, entry.Id, CancellationToken.None);
            Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
            await reader.CheckPacksAsync(manifest, CancellationToken.None);
            BlockReference[] blocks = [.. manifest.Entries
                .SelectMany(static item => item.Extents)
                .Where(static extent => extent.Block is not null)
                .Select(static extent => extent.Block!)
                .Distinct()];
            await reader.ReadBlocksAsync(blocks, 2, static (_, _, _) => ValueTask.CompletedTask, CancellationToken.None);
        }

        output.WriteLine($"{complete} complete and {incomplete} incomplete backups {when}.");
    }

    private static void AssertSucceeded((int ExitCode, string Output, string Error) result) =>
        Assert.True(result.ExitCode == 0, $"Exit code {result.ExitCode}: {result.Error}{result.Output}");
}
