using System.Globalization;
using System.Security.Cryptography;
using SmcDr.Core.Copies;
using SmcDr.Core.Encryption;
using SmcDr.Core.FileStores;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Retention;
using SmcDr.Core.Verification;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// Random operations on one encrypted repository and its copy: backups of a directory and of a database, kills in the middle of everything,
/// retention, verification, removal, holds, copying, keys. After each, every backup that is kept gives exactly what was backed up; at the
/// end nothing is left that nobody needs.
/// </summary>
[Collection(MotoTests.Name)]
public sealed class RepositoryTortureTests(MotoServer moto, ITestOutputHelper output)
{
    // What there is time for each time. SMCDR_TEST_ROUNDS=200 finds more.
    private const int Rounds = 60;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task RandomOperations_OnDirectories_LoseNothingThatIsKeptAndLeaveNothingElse(int seed)
    {
        using TemporaryDirectory directory = new();
        await using DirectoryObjectStore store = new(Path.Combine(directory.Path, "repository"));
        await using DirectoryObjectStore copy = new(Path.Combine(directory.Path, "copy"));
        await RunAsync(store, copy, directory.Path, seed, withDatabase: seed == 1);
    }

    [MotoFact]
    public async Task RandomOperations_OnS3_LoseNothingThatIsKeptAndLeaveNothingElse()
    {
        using TemporaryDirectory directory = new();
        string bucket = await moto.CreateBucketAsync();
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/repository");
        await using S3ObjectStore copy = moto.Open($"s3://{bucket}/copy");
        await RunAsync(store, copy, directory.Path, seed: 3, withDatabase: false);
    }

    private async Task RunAsync(IObjectStore store, IObjectStore copy, string directory, int seed, bool withDatabase)
    {
        // Another seed, or more rounds, from outside: what fails in one of a thousand runs is found by night.
        seed = int.TryParse(Environment.GetEnvironmentVariable("SMCDR_TEST_SEED"), CultureInfo.InvariantCulture, out int given) ? given : seed;
        int rounds = int.TryParse(Environment.GetEnvironmentVariable("SMCDR_TEST_ROUNDS"), CultureInfo.InvariantCulture, out int more) ? more : Rounds;
        output.WriteLine($"Seed {seed}, {rounds} rounds.");
        await using PostgresServer? server = withDatabase ? await PostgresServer.StartAsync() : null;
        Torture torture = new(store, copy, directory, seed, server, output);
        await torture.BeginAsync();
        for (int round = 1; round <= rounds; round++)
        {
            await torture.RoundAsync(round);
        }

        await torture.EndAsync();
    }

    private sealed class Torture(
        IObjectStore store, IObjectStore copy, string directory, int seed, PostgresServer? server, ITestOutputHelper output)
    {
        private readonly Random _random = new(seed);
        private readonly Dictionary<(Component Component, string Id), string> _expected = [];
        private readonly List<(string Name, string Secret)> _recipients = [("first", NewKeyFile())];
        private readonly Dictionary<string, int> _done = new(StringComparer.Ordinal);
        // An id is a second. In life no backup is taken, removed and taken again within one.
        private readonly HurryingClock _clock = new();
        private int _names;

        private string Source => Path.Combine(directory, "source");

        private string Secret => _recipients[0].Secret;

        public async Task BeginAsync()
        {
            Directory.CreateDirectory(Source);
            for (int i = 0; i < 30; i++)
            {
                ChangeFile(i);
            }

            if (server is not null)
            {
                await server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 20000) i");
            }

            using RepositoryKeySource key = RepositoryKeySource.FromSecret(Secret);
            _ = await Repository.OpenOrCreateAsync(store, key, CancellationToken.None);
            await RepositoryRecipientsNameAsync();
        }

        public async Task RoundAsync(int round)
        {
            (int Weight, string Name, Func<Task> Run)[] operations =
            [
                (28, "backup", BackUpAsync),
                (12, "backup killed", () => KilledAsync(BackUpAsync)),
                (server is null ? 0 : 6, "database", BackUpDatabaseAsync),
                (server is null ? 0 : 3, "database killed", () => KilledAsync(BackUpDatabaseAsync)),
                (12, "retention", RetainAsync),
                (8, "retention killed", () => KilledAsync(RetainAsync)),
                (6, "backup beside retention", BesideAsync),
                (5, "verify", () => VerifyAsync(deep: false)),
                (4, "verify deep", () => VerifyAsync(deep: true)),
                (6, "copy", CopyAsync),
                (4, "copy killed", () => KilledAsync(CopyAsync)),
                (4, "remove", RemoveAsync),
                (3, "hold", HoldAsync),
                (3, "release", ReleaseAsync),
                (3, "recipient added", AddRecipientAsync),
                (3, "recipient removed", RemoveRecipientAsync),
                (2, "key renewed", RenewAsync),
            ];
            int pick = _random.Next(operations.Sum(static operation => operation.Weight));
            (_, string name, Func<Task> run) = operations.First(operation => (pick -= operation.Weight) < 0);
            try
            {
                await run();
                await AssertRestorableAsync(store, "the repository");
            }
            catch (Exception)
            {
                output.WriteLine($"Round {round}, {name}, seed {seed}.");
                throw;
            }

            _done[name] = _done.GetValueOrDefault(name) + 1;
        }

        public async Task EndAsync()
        {
            await CopyAsync();
            await AssertRestorableAsync(copy, "the copy");
            foreach (IObjectStore one in new[] { store, copy })
            {
                Repository repository = await OpenAsync(one);
                BackupRetention retention = Retention(repository, RetentionWorld.Later);
                await retention.ExecuteAsync(
                    await retention.PlanAsync(new RetentionPolicy { Last = 2 }, CancellationToken.None), CancellationToken.None);
                await AssertRestorableAsync(one, "what retention left");
                await AssertNothingElseAsync(repository);
            }

            output.WriteLine(string.Join(", ", _done.OrderBy(static one => one.Key, StringComparer.Ordinal).Select(static one => $"{one.Key}: {one.Value}")));
        }

        // ----- operations

        private Task BackUpAsync() => BackUpAsync(store);

        private async Task BackUpAsync(IObjectStore to)
        {
            for (int i = _random.Next(6); i > 0; i--)
            {
                ChangeFile(_random.Next(34));
            }

            BackupInfo backup = await FileStoreBackup.RunAsync(
                "tree",
                Source,
                await OpenAsync(to),
                new FileStoreBackupOptions
                {
                    Full = _random.Next(8) == 0,
                    TimestampMargin = TimeSpan.Zero,
                    Parallelism = 2,
                    Writer = new BackupWriterOptions { PackSize = 200_000, Time = _clock },
                },
                NullObserver.Instance,
                CancellationToken.None);
            _expected[(Component.FileStore, backup.Id)] = DigestOfTree(Source);
        }

        private Task BackUpDatabaseAsync() => BackUpDatabaseAsync(store);

        private async Task BackUpDatabaseAsync(IObjectStore to)
        {
            await server!.ExecuteAsync(string.Create(
                CultureInfo.InvariantCulture, $"UPDATE t SET x = md5(x) WHERE i % 97 = {_random.Next(97)}; CHECKPOINT"));
            BackupInfo backup = await BaseBackup.RunAsync(
                server.CreateConnector(),
                await OpenAsync(to),
                new BaseBackupOptions { Full = _random.Next(6) == 0, PackSize = 1 << 20, WalTimeout = TimeSpan.FromSeconds(5) },
                NullObserver.Instance,
                CancellationToken.None);
            Repository repository = await OpenAsync(store);
            _expected[(Component.Database, backup.Id)] = await DigestOfBlocksAsync(repository, Component.Database, backup.Id);
        }

        private Task RetainAsync() => RetainAsync(store);

        private async Task RetainAsync(IObjectStore on)
        {
            Repository repository = await OpenAsync(on);
            BackupRetention retention = Retention(repository, _random.Next(2) == 0 ? RetentionWorld.Later : TimeProvider.System);
            RetentionPolicy? policy = _random.Next(4) == 0 ? null : new RetentionPolicy { Last = _random.Next(1, 5) };
            RetentionPlan plan = await retention.PlanAsync(policy, CancellationToken.None);
            HashSet<string> going = [.. plan.Removals.Where(static item => item.Kind == "Backup").Select(static item => NameOf(item.Component, item.Id))];
            List<string> before = await CompleteAsync(await OpenAsync(store));
            await retention.ExecuteAsync(plan, CancellationToken.None);
            List<string> after = await CompleteAsync(await OpenAsync(store));
            Assert.Equal(before.Except(going), after);
        }

        /// <summary>A backup that builds on what retention removes at the same time.</summary>
        private async Task BesideAsync()
        {
            Task<IReadOnlyList<RetentionResult>> retention = Task.Run(async () =>
            {
                BackupRetention run = Retention(await OpenAsync(store), TimeProvider.System);
                return await run.ExecuteAsync(await run.PlanAsync(new RetentionPolicy { Last = 1 }, CancellationToken.None), CancellationToken.None);
            });
            try
            {
                await BackUpAsync(store);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.BackupRemoved)
            {
                // It was told, and a second try would succeed.
            }

            await retention;
        }

        private async Task VerifyAsync(bool deep)
        {
            BackupVerification verification = new(
                await OpenAsync(store),
                new BackupVerificationOptions { Deep = deep, VerifiedWithin = _random.Next(2) == 0 ? TimeSpan.FromDays(1) : null },
                NullObserver.Instance);
            HashSet<string> passed = [];
            await foreach (BackupTestResult result in verification.RunAsync(CancellationToken.None))
            {
                Assert.True(
                    // Nobody streams the WAL between the backups of the database.
                    result.Outcome == "Passed" || (result.Outcome == "Partial" && result.Component == nameof(Component.Database)),
                    $"{result.Id}: {result.Outcome}: {string.Join("; ", result.Problems.Select(static problem => problem.Message))}");
                passed.Add(NameOf(result.Component, result.Id));
            }

            Assert.Equal((await CompleteAsync(await OpenAsync(store))).Order(StringComparer.Ordinal), passed.Order(StringComparer.Ordinal));
        }

        private Task CopyAsync() => CopyAsync(store);

        private async Task CopyAsync(IObjectStore from)
        {
            RepositoryCopy run = await RepositoryCopy.OpenAsync(
                await OpenAsync(from), copy, _ => OpenAsync(copy), NullObserver.Instance, parallelism: 3, CancellationToken.None);
            await foreach (BackupCopyResult result in run.CopyAllAsync(CancellationToken.None))
            {
                Assert.True(result.State == "Complete", string.Join("; ", result.Problems));
            }

            HashSet<string> there = [.. await CompleteAsync(await OpenAsync(copy))];
            Assert.Superset((await CompleteAsync(await OpenAsync(store))).ToHashSet(), there);
        }

        private async Task RemoveAsync()
        {
            Repository repository = await OpenAsync(store);
            List<(Component Component, string Id)> backups = await EntriesAsync(repository);
            if (backups.Count == 0)
            {
                return;
            }

            (Component component, string id) = backups[_random.Next(backups.Count)];
            BackupRetention retention = Retention(repository, TimeProvider.System);
            try
            {
                await retention.ExecuteAsync(
                    await retention.PlanRemovalAsync(component, id, force: false, CancellationToken.None), CancellationToken.None);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.BackupProtected)
            {
                Assert.Contains(NameOf(component.ToString(), id), await CompleteAsync(repository));
                return;
            }

            Assert.DoesNotContain(NameOf(component.ToString(), id), await CompleteAsync(repository));
        }

        private async Task HoldAsync()
        {
            Repository repository = await OpenAsync(store);
            List<(Component Component, string Id)> backups = await EntriesAsync(repository);
            if (backups.Count > 0)
            {
                (Component component, string id) = backups[_random.Next(backups.Count)];
                await new BackupProtections(repository).HoldAsync(component, id, "torture", CancellationToken.None);
            }
        }

        private async Task ReleaseAsync()
        {
            Repository repository = await OpenAsync(store);
            foreach ((Component component, string id) in await EntriesAsync(repository))
            {
                await new BackupProtections(repository).ReleaseAsync(component, id, CancellationToken.None);
            }
        }

        private async Task AddRecipientAsync()
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"recipient-{++_names}");
            string secret = NewKeyFile();
            using RepositoryKeySource opener = RepositoryKeySource.FromSecret(Secret);
            using RepositoryKeySource added = RepositoryKeySource.FromSecret(secret);
            await RepositoryRecipients.AddAsync(store, opener, added, name, CancellationToken.None);
            _recipients.Insert(_random.Next(_recipients.Count + 1), (name, secret));
        }

        private async Task RemoveRecipientAsync()
        {
            if (_recipients.Count == 1)
            {
                await AddRecipientAsync();
            }

            (string name, string secret) = _recipients[^1];
            using RepositoryKeySource opener = RepositoryKeySource.FromSecret(Secret);
            await RepositoryRecipients.RemoveAsync(store, opener, name, CancellationToken.None);
            _recipients.RemoveAt(_recipients.Count - 1);
            using RepositoryKeySource removed = RepositoryKeySource.FromSecret(secret);
            await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenAsync(store, removed, CancellationToken.None));
        }

        private async Task RenewAsync()
        {
            List<RepositoryKeySource> sources = [.. _recipients.Select(static one => RepositoryKeySource.FromSecret(one.Secret))];
            try
            {
                await RepositoryRecipients.RenewAsync(store, sources, CancellationToken.None);
            }
            finally
            {
                sources.ForEach(static source => source.Dispose());
            }
        }

        /// <summary>An operation that dies at a random call to the repository, and whose cleaning up dies as well: as by kill -9.</summary>
        private async Task KilledAsync(Func<IObjectStore, Task> operation)
        {
            HookedObjectStore dying = HookedObjectStore.DyingAt(store, _random.Next(1, 60));
            try
            {
                await operation(dying);
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.StorageUnavailable or SmcErrorCode.WalTimeout)
            {
                // The WAL receiver of a base backup tries again and again, and gets nowhere.
            }
        }

        // ----- what must hold

        private async Task AssertRestorableAsync(IObjectStore one, string where)
        {
            Repository repository = await OpenAsync(one);
            foreach ((Component component, string id) in await EntriesAsync(repository))
            {
                // Killed between its marker and its end, a backup is complete, and nobody was told.
                string digest = component == Component.FileStore
                    ? await RestoreAsync(repository, id)
                    : await DigestOfBlocksAsync(repository, component, id);
                if (_expected.TryGetValue((component, id), out string? expected))
                {
                    Assert.True(expected == digest, $"The backup '{id}' in {where} is not what was backed up.");
                }
                else
                {
                    _expected[(component, id)] = digest;
                }
            }
        }

        private async Task<string> RestoreAsync(Repository repository, string id)
        {
            string target = Path.Combine(directory, "target");
            BackupReader reader = await repository.OpenBackupAsync(Component.FileStore, id, CancellationToken.None);
            await FileStoreRestore.RunAsync(
                reader, new FileStoreRestoreOptions { TargetPath = target }, NullObserver.Instance, CancellationToken.None);
            string digest = DigestOfTree(target);
            Directory.Delete(target, recursive: true);
            return digest;
        }

        private static async Task<string> DigestOfBlocksAsync(Repository repository, Component component, string id)
        {
            BackupReader reader = await repository.OpenBackupAsync(component, id, CancellationToken.None);
            Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
            BlockReference[] blocks = [.. manifest.Entries
                .SelectMany(static entry => entry.Extents)
                .Where(static extent => extent.Block is not null)
                .Select(static extent => extent.Block!)
                .Distinct()];
            Dictionary<BlockReference, byte[]> contents = new(ReferenceEqualityComparer.Instance);
            await reader.ReadBlocksAsync(
                blocks,
                4,
                (index, content, _) =>
                {
                    lock (contents)
                    {
                        contents[blocks[index]] = content.ToArray();
                    }

                    return ValueTask.CompletedTask;
                },
                CancellationToken.None);
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (ManifestEntry entry in manifest.Entries)
            {
                hash.AppendData(System.Text.Encoding.UTF8.GetBytes(entry.Path));
                foreach (FileExtent extent in entry.Extents)
                {
                    hash.AppendData(extent.Block is null
                        ? new byte[extent.Length]
                        : contents[extent.Block].AsSpan(extent.Start, extent.Length));
                }
            }

            return Convert.ToHexString(hash.GetHashAndReset());
        }

        /// <summary>Everything in the store is needed by something that is kept.</summary>
        private static async Task AssertNothingElseAsync(Repository repository)
        {
            HashSet<string> needed = new(StringComparer.Ordinal);
            foreach ((Component component, string id) in await EntriesAsync(repository))
            {
                needed.UnionWith([
                    RepositoryKeys.Started(component, id), RepositoryKeys.Manifest(component, id), RepositoryKeys.Complete(component, id)]);
                BackupReader reader = await repository.OpenBackupAsync(component, id, CancellationToken.None);
                Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
                needed.UnionWith(manifest.Packs.Select(static pack => pack.Key));
            }

            await foreach (ObjectInfo info in repository.Store.ListAsync("", CancellationToken.None))
            {
                string folder = info.Key.Split('/')[0];
                Assert.True(
                    needed.Contains(info.Key) || folder is "repository" or "keys" or "removals" or "wal" or "protections" or "verifications",
                    $"Nobody needs '{info.Key}', and it is still there.");
            }
        }

        // ----- tools

        private static BackupRetention Retention(Repository repository, TimeProvider time) => new(
            repository, new RetentionOptions { Time = time, Parallelism = 3 }, NullObserver.Instance);

        private async Task<Repository> OpenAsync(IObjectStore one)
        {
            using RepositoryKeySource key = RepositoryKeySource.FromSecret(Secret);
            return await Repository.OpenAsync(one, key, CancellationToken.None);
        }

        private static async Task<List<(Component Component, string Id)>> EntriesAsync(Repository repository)
        {
            List<(Component, string)> entries = [];
            foreach (Component component in new[] { Component.Database, Component.FileStore })
            {
                await foreach (BackupEntry entry in repository.ListBackupsAsync(component, CancellationToken.None))
                {
                    Assert.Null(entry.Problem);
                    if (entry.IsComplete)
                    {
                        entries.Add((component, entry.Id));
                    }
                }
            }

            return entries;
        }

        private static async Task<List<string>> CompleteAsync(Repository repository) =>
            [.. (await EntriesAsync(repository)).Select(static entry => NameOf(entry.Component.ToString(), entry.Id))];

        private static string NameOf(string component, string id) => $"{component}/{id}";

        /// <summary>The first recipient's name is the repository's choice.</summary>
        private async Task RepositoryRecipientsNameAsync()
        {
            using RepositoryKeySource key = RepositoryKeySource.FromSecret(Secret);
            RepositoryKeyInfo first = Assert.Single(await RepositoryRecipients.ListAsync(store, key, null, CancellationToken.None));
            _recipients[0] = (first.Name, Secret);
        }

        private void ChangeFile(int number)
        {
            string path = Path.Combine(Source, string.Create(CultureInfo.InvariantCulture, $"d{number % 4}"), string.Create(CultureInfo.InvariantCulture, $"f{number}"));
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            if (_random.Next(10) == 0)
            {
                File.Delete(path);
                return;
            }

            byte[] content = new byte[_random.Next(5) == 0 ? _random.Next(400_000) : _random.Next(5_000)];
            _random.NextBytes(content);
            if (File.Exists(path) && _random.Next(2) == 0)
            {
                // Only a part of it.
                byte[] old = File.ReadAllBytes(path);
                content.AsSpan(0, Math.Min(Math.Min(content.Length, old.Length), 100)).CopyTo(old);
                content = old;
            }

            File.WriteAllBytes(path, content);
        }

        private static string DigestOfTree(string root)
        {
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (string path in Directory.EnumerateFileSystemEntries(root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            {
                hash.AppendData(System.Text.Encoding.UTF8.GetBytes(Path.GetRelativePath(root, path) + "\n"));
                if (File.Exists(path))
                {
                    hash.AppendData(File.ReadAllBytes(path));
                }
            }

            return Convert.ToHexString(hash.GetHashAndReset());
        }

        private static string NewKeyFile() => $"SMCDR-KEY-1 {Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";
    }

    private sealed class HurryingClock : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UtcNow.AddHours(-12);

        public override DateTimeOffset GetUtcNow() => _now += TimeSpan.FromSeconds(1);
    }
}
