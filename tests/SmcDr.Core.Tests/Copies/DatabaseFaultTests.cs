using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Copies;

/// <summary>Base backups of a real server, and restores of them, over a store that fails at random.</summary>
public sealed class DatabaseFaultTests(ITestOutputHelper output)
{
    [Fact]
    public async Task BackupAndRestore_StoreThatFails_IsWholeOrFailsCleanly()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i");
        BackupInfo first = await lab.BackupAsync();
        FaultyObjectStore store = new(new DirectoryObjectStore(lab.RepositoryDirectory));
        Dictionary<string, string> contents = new(StringComparer.Ordinal);
        int succeeded = 0;
        int failed = 0;
        string last = first.Id;
        for (int seed = 1; seed <= 8; seed++)
        {
            // Few calls: a base backup has one to open, some packs, manifest and marker.
            store.PlanRandom(seed, 100, seed % 2 == 0 ? 0.03 : 0.15);
            try
            {
                last = (await lab.BackupAsync(repository: await Repository.OpenAsync(store, CancellationToken.None))).Id;
                succeeded++;
            }
            catch (SmcException e)
            {
                output.WriteLine($"Backup {seed}: {e.Code}: {e.Message}");
                failed++;
            }

            // The server notices a moment later that a session has ended.
            await BackupLab.UntilAsync(async () => await lab.SessionCountAsync() == 0);
        }

        await foreach (BackupEntry entry in lab.Repository.ListBackupsAsync(Component.Database, CancellationToken.None))
        {
            if (entry.IsComplete)
            {
                string path = lab.NewPath();
                await lab.RestoreAsync(entry.Id, new BaseRestoreTarget { DataDirectory = path });
                contents[entry.Id] = Digest(path);
            }
        }

        Assert.Contains(last, contents.Keys);
        Assert.Contains(first.Id, contents.Keys);
        for (int seed = 1; seed <= 8; seed++)
        {
            store.PlanRandom(seed + 100, 100, 0.08);
            string path = lab.NewPath();
            try
            {
                BackupReader reader = await (await Repository.OpenAsync(store, CancellationToken.None))
                    .OpenBackupAsync(Component.Database, last, CancellationToken.None);
                await BaseRestore.RestoreFilesAsync(
                    reader,
                    await reader.ReadManifestAsync(CancellationToken.None),
                    lab.Owned(new BaseRestoreTarget { DataDirectory = path }),
                    NullObserver.Instance,
                    CancellationToken.None);
                succeeded++;
            }
            catch (SmcException e)
            {
                output.WriteLine($"Restore {seed}: {e.Code}: {e.Message}");
                failed++;
                continue;
            }

            Assert.Equal(contents[last], Digest(path));
        }

        output.WriteLine($"{succeeded} succeeded, {failed} failed.");
        Assert.True(succeeded > 1 && failed > 1, $"{succeeded} succeeded, {failed} failed.");
        await lab.ArchiveAllAsync();
        string data = lab.NewPath();
        await lab.RestoreAsync(last, new BaseRestoreTarget { DataDirectory = data });
        await using PostgresServer recovered = await lab.RecoverAsync(data);
        Assert.Equal(20000, await recovered.ScalarAsync<long>("SELECT count(*) FROM t"));
    }

    private static string Digest(string directory)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in Directory.GetFiles(directory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(Path.GetRelativePath(directory, path) + "\0"));
            hash.AppendData(File.ReadAllBytes(path));
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }
}
