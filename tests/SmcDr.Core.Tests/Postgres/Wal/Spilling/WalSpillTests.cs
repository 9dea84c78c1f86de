using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Spilling;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Postgres.Wal.Spilling;

/// <summary>A spill and a repository, without a server.</summary>
public sealed class WalSpillTests : IAsyncLifetime
{
    private const int SegmentSize = 1 << 20;
    private const ulong SystemId = 7300000000000000001;

    private readonly TemporaryDirectory _directory = new();
    private DirectoryObjectStore _inner = null!;
    private Repository _repository = null!;
    private bool _isFull;
    private byte[]? _sealed;

    private string Spill => Path.Combine(_directory.Path, "spill");

    public async Task InitializeAsync()
    {
        _inner = new DirectoryObjectStore(Path.Combine(_directory.Path, "repository"));
        await Repository.OpenOrCreateAsync(_inner, CancellationToken.None);
        _repository = await OpenAsync(new HookedObjectStore(_inner, (operation, _) => _isFull && operation == "put"
            ? throw new SmcException(SmcErrorCode.StorageFull, "There is no room.")
            : Task.CompletedTask));
    }

    public Task DisposeAsync()
    {
        _directory.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Bring_KilledAtEveryCall_TheNextOneBringsTheRest()
    {
        await using (WalSpill spill = await OpenSpillAsync())
        {
            await FillAsync(spill);
        }

        string[] files = Files();
        Assert.Equal(6, files.Length);
        string[] before = await KeysAsync();
        int kills = 0;
        for (bool isDone = false; !isDone; kills++)
        {
            // From the same beginning each time, dead one call later.
            Dictionary<string, byte[]> kept = Directory.GetFiles(Spill).ToDictionary(static file => file, File.ReadAllBytes);
            HookedObjectStore dying = HookedObjectStore.DyingAt(_inner, kills + 1);
            Repository repository = await OpenAsync(_inner);
            await using (WalSpill spill = await OpenSpillAsync(repository.Over(dying)))
            {
                try
                {
                    await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
                    isDone = true;
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.StorageUnavailable)
                {
                    // What the repository shows is a beginning of what was spilled: nothing behind a hole.
                    string[] stored = [.. (await KeysAsync()).Except(before).Select(static key => key[(key.LastIndexOf('/') + 1)..])];
                    Assert.Equal(files.Select(static file => file[13..]).Take(stored.Length).Order(StringComparer.Ordinal), stored.Order(StringComparer.Ordinal));
                    // And what is not there is still here.
                    Assert.Empty(files.Select(static file => file[13..]).Except(stored).Except(Files().Select(static file => file[13..])));
                }
            }

            await using (WalSpill spill = await OpenSpillAsync(repository))
            {
                await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
            }

            await AssertArchivedAsync();
            Assert.Empty(Files());
            if (!isDone)
            {
                foreach (string key in (await KeysAsync()).Except(before))
                {
                    await _inner.DeleteAsync(key, CancellationToken.None);
                }

                foreach ((string file, byte[] content) in kept)
                {
                    await File.WriteAllBytesAsync(file, content);
                }
            }
        }

        // A put and a look at what is there, for each.
        Assert.True(kills > 2 * files.Length, $"Only {kills} calls.");
    }

    [Theory]
    [InlineData(SmcErrorCode.StorageAccessDenied, true)]
    [InlineData(SmcErrorCode.StorageUnavailable, false)]
    public async Task Bring_RepositoryRefusesTheAccount_IsSaidAgainAndAgain(SmcErrorCode code, bool isSaid)
    {
        int refusals = 0;
        HookedObjectStore refusing = new(_inner, (operation, _) => operation == "put" && ++refusals < 20
            ? throw new SmcException(code, "It is refused.", recommendation: "Sign in again.")
            : Task.CompletedTask);
        RecordingObserver observer = new();
        await using WalSpill spill = await OpenSpillAsync((await OpenAsync(_inner)).Over(refusing), reminder: TimeSpan.Zero, observer: observer);
        WalArchive archive = new(spill.Repository, SystemId);
        await archive.PutSegmentAsync(Name(1), Content(1), Facts(1), CancellationToken.None);
        Assert.Equal(isSaid, Assert.Single(observer.Warnings).Contains("Sign in again.", StringComparison.Ordinal));
        TaskCompletionSource brought = new(TaskCreationOptions.RunContinuationsAsynchronously);
        spill.Start(
            static _ => Task.CompletedTask,
            static _ => Task.CompletedTask,
            () =>
            {
                if (spill.Bytes == 0)
                {
                    brought.TrySetResult();
                }
            },
            static () => null);
        await brought.Task.WaitAsync(TimeSpan.FromSeconds(60));
        string[] reminders = [.. observer.Warnings.Where(static warning => warning.Contains("still refuses", StringComparison.Ordinal))];
        Assert.Equal(isSaid ? 18 : 0, reminders.Length);
        Assert.All(reminders, static warning => Assert.Contains("Sign in again.", warning, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Look_SpillThatSomebodyHolds_TellsWhatIsInItAndTakesNothing()
    {
        await using WalSpill spill = await OpenSpillAsync();
        await FillAsync(spill);
        string[] files = Files();
        SpillContent content = SpillDirectory.Look(Spill);
        Assert.Equal(6, content.Count);
        Assert.Equal(spill.Bytes, content.Bytes);
        Assert.Equal(SystemId.ToString(CultureInfo.InvariantCulture), content.Identity!.SystemId);
        Assert.NotNull(content.Since);
        Assert.Equal(files, Files());
    }

    [Fact]
    public async Task Open_HalfWrittenFilesOfAKilledProcess_AreRemovedAndTheWholeOnesTakenUp()
    {
        await using (WalSpill spill = await OpenSpillAsync())
        {
            await FillAsync(spill);
        }

        string temporary = Path.Combine(Spill, "~tmp");
        Directory.CreateDirectory(temporary);
        await File.WriteAllBytesAsync(Path.Combine(temporary, "half"), new byte[1000]);
        _isFull = false;
        await using (WalSpill spill = await OpenSpillAsync())
        {
            Assert.False(Directory.Exists(temporary));
            await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
        }

        await AssertArchivedAsync();
    }

    [Fact]
    public async Task Open_SpillOfAnotherRepositoryOrCluster_IsRefusedAndLeftAlone()
    {
        await using (WalSpill spill = await OpenSpillAsync())
        {
            await FillAsync(spill);
        }

        string[] before = Files();
        Repository other = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory.Path, "other")), CancellationToken.None);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => OpenSpillAsync(other));
        Assert.Equal(SmcErrorCode.RepositoryMismatch, error.Code);
        Assert.Contains(_repository.Id.ToString(), error.Message, StringComparison.Ordinal);
        Assert.Contains(Spill, error.Message, StringComparison.Ordinal);

        error = await Assert.ThrowsAsync<SmcException>(() => OpenSpillAsync(systemId: SystemId + 1));
        Assert.Equal(SmcErrorCode.SystemIdMismatch, error.Code);
        Assert.Contains("7300000000000000002", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, Files());

        // Brought to its own, it is anybody's.
        _isFull = false;
        await using (WalSpill spill = await OpenSpillAsync())
        {
            await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
        }

        await (await OpenSpillAsync(other)).DisposeAsync();
    }

    [Fact]
    public async Task Open_SpillInUse_IsRefused()
    {
        await using WalSpill spill = await OpenSpillAsync();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => OpenSpillAsync());
        Assert.Equal(SmcErrorCode.OperationInProgress, error.Code);
        Assert.Contains(Spill, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("notes.txt", false)]
    [InlineData("wal", true)]
    public async Task Open_DirectoryWithSomethingElse_IsRefusedAndNotTouched(string name, bool isDirectory)
    {
        Directory.CreateDirectory(Spill);
        Directory.CreateDirectory(Path.Combine(Spill, "~tmp"));
        if (isDirectory)
        {
            Directory.CreateDirectory(Path.Combine(Spill, name));
        }
        else
        {
            await File.WriteAllTextAsync(Path.Combine(Spill, name), "mine");
        }

        UnixFileMode? mode = OperatingSystem.IsWindows() ? null : File.GetUnixFileMode(Spill);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => OpenSpillAsync());
        Assert.Equal(SmcErrorCode.TargetNotEmpty, error.Code);
        Assert.Contains($"'{name}'", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, Directory.GetFileSystemEntries(Spill).Length);
        Assert.Equal(mode, OperatingSystem.IsWindows() ? null : File.GetUnixFileMode(Spill));
    }

    [Fact]
    public async Task Bring_DamagedHere_IsNotBroughtAndSaysWhatToDo()
    {
        await using (WalSpill spill = await OpenSpillAsync())
        {
            await FillAsync(spill);
        }

        _isFull = false;
        string file = Path.Combine(Spill, Files()[1]);
        byte[] content = await File.ReadAllBytesAsync(file);
        content[^1] ^= 1;
        await File.WriteAllBytesAsync(file, content);
        string[] before = await KeysAsync();
        await using (WalSpill spill = await OpenSpillAsync())
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(
                () => spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None));
            Assert.Equal(SmcErrorCode.ChecksumMismatch, error.Code);
            Assert.Contains(Spill, error.Recommendation, StringComparison.Ordinal);
        }

        Assert.Single((await KeysAsync()).Except(before));
        Assert.Equal(5, Files().Length);
    }

    [Fact]
    public async Task Put_AnswerWasLostAndTheObjectIsThere_IsTheSame()
    {
        bool isLost = true;
        HookedObjectStore store = new(_inner, async (operation, key) =>
        {
            if (isLost && operation == "put" && key.StartsWith("wal/", StringComparison.Ordinal))
            {
                isLost = false;
                await _inner.PutAsync(key, _sealed!, CancellationToken.None);
                throw new SmcException(SmcErrorCode.StorageUnavailable, "The answer was lost.");
            }
        });
        Repository repository = await OpenAsync(_inner);
        _sealed = WalObject.Seal(
            new WalObjectHead
            {
                RepositoryId = repository.Id,
                Name = Name(1).ToString(),
                SystemId = SystemId.ToString(CultureInfo.InvariantCulture),
                Timeline = 1,
                Start = Name(1).StartLsn(SegmentSize),
                End = Name(1).EndLsn(SegmentSize),
                WalSegmentSize = SegmentSize,
                ServerTime = DateTimeOffset.UnixEpoch,
                Length = 0,
                Sha256 = default,
                Codec = "",
                Stored = 0,
                Crc32C = 0,
            },
            Content(1));
        await using WalSpill spill = await OpenSpillAsync(repository.Over(store));
        await new WalArchive(spill.Repository, SystemId).PutSegmentAsync(Name(1), Content(1), Facts(1), CancellationToken.None);
        Assert.Single(Files());
        await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
        Assert.Empty(Files());
        byte[] stored = await ReadAsync(WalKey.Whole(Name(1)).ToKey(SystemId));
        Assert.Equal(_sealed, stored);
    }

    [Fact]
    public async Task Bring_DamagedInTheRepository_TakesItsPlaceAndItIsKept()
    {
        string key = WalKey.Whole(Name(1)).ToKey(SystemId);
        RecordingObserver observer = new();
        await using WalSpill spill = await OpenSpillAsync(observer: observer);
        WalArchive archive = new(spill.Repository, SystemId);
        _isFull = true;
        await archive.PutSegmentAsync(Name(1), Content(1), Facts(1), CancellationToken.None);
        _isFull = false;
        byte[] damaged = "what a power cut has left"u8.ToArray();
        await _inner.PutAsync(key, damaged, CancellationToken.None);

        await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);

        Assert.Empty(Files());
        string aside = Assert.Single(await KeysAsync(), name => name.StartsWith(key + ".damaged-", StringComparison.Ordinal));
        Assert.Equal(damaged, await _inner.ReadAsync(aside));
        Assert.Contains(observer.Warnings, text => text.Contains(aside, StringComparison.Ordinal));
        WalArchive there = new(await OpenAsync(_inner), SystemId);
        WalCoverage coverage = await there.GetCoverageAsync(1, Name(1).StartLsn(SegmentSize), null, CancellationToken.None);
        Assert.Equal(Content(1), await there.ReadAsync(coverage.Items[0], CancellationToken.None));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AddAsync_NameThatCouldNotBeMadeDurable_IsStoredByTheNextTry(bool isAnother)
    {
        // The first directory is that of the file which says whose spill it is; the first object comes after it.
        int left = 0;
        string path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(Spill));
        void Sync(string directory)
        {
            if (directory == path && left > 0 && --left == 0)
            {
                throw new IOException("The disk does not answer.");
            }
        }

        (WalKey wal, byte[] content) = (WalKey.Piece(Name(1), 0, 1000), new byte[1000]);
        (WalKey next, byte[] more) = isAnother ? (WalKey.Piece(Name(1), 0, 2000), new byte[2000]) : (wal, content);
        for (int failing = 1; failing <= 2; failing++)
        {
            using (SpillDirectory directory = await SpillDirectory.OpenAsync(path, _repository, SystemId, 0, CancellationToken.None, Sync))
            {
                left = failing;
                await SmcErrorCode.StorageUnavailable.ThrowsAsync(
                    () => directory.AddAsync(wal, wal.ToKey(SystemId), content, CancellationToken.None));
                await directory.AddAsync(next, next.ToKey(SystemId), more, CancellationToken.None);
                Assert.Equal(more.Length, directory.Bytes);
            }

            // And the next process finds that one alone.
            using (SpillDirectory directory = await SpillDirectory.OpenAsync(path, _repository, SystemId, 0, CancellationToken.None))
            {
                SpilledWal item = Assert.Single(directory.Items);
                Assert.Equal(next, item.Wal);
                await directory.RemoveAsync(item, CancellationToken.None);
            }
        }
    }

    [Fact]
    public async Task Read_ExchangedForTheSameContentSinceItWasListed_IsNotDamaged()
    {
        await using WalSpill spill = await OpenSpillAsync();
        WalArchive archive = new(spill.Repository, SystemId);
        _isFull = true;
        await archive.PutSegmentAsync(Name(1), Content(1), Facts(1), CancellationToken.None);
        WalCatalog listed = await archive.LoadCatalogAsync(CancellationToken.None);
        _isFull = false;

        // Another stream has stored the same, with a longer head.
        await new WalArchive(await OpenAsync(_inner), SystemId).PutSegmentAsync(
            Name(1), Content(1), Facts(1) with { ServerTime = DateTimeOffset.UtcNow }, CancellationToken.None);
        await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
        Assert.Equal(SegmentSize, await archive.GetSegmentSizeAsync(listed, CancellationToken.None));
        WalItem item = (await archive.TryLoadItemAsync(listed.Timelines[1].Find(Name(1))!, SegmentSize, CancellationToken.None))!;
        Assert.Equal(Content(1), await archive.ReadAsync(item, CancellationToken.None));
    }

    [Fact]
    public async Task Put_RepositoryDoesNotAnswer_SpillsAfterAWhileAndReadsAndListsBoth()
    {
        TaskCompletionSource hangs = new();
        Repository repository = await OpenAsync(_inner);
        await new WalArchive(repository, SystemId).PutSegmentAsync(Name(1), Content(1), Facts(1), CancellationToken.None);
        HookedObjectStore store = new(_inner, (operation, _) => operation == "put" ? hangs.Task : Task.CompletedTask);
        await using WalSpill spill = await OpenSpillAsync(repository.Over(store), patience: TimeSpan.FromMilliseconds(100));
        WalArchive archive = new(spill.Repository, SystemId);
        await archive.PutSegmentAsync(Name(2), Content(2), Facts(2), CancellationToken.None);
        Assert.True(spill.IsActive);
        Assert.Single(Files());
        WalCoverage coverage = await archive.GetCoverageAsync(1, Name(1).StartLsn(SegmentSize), null, CancellationToken.None);
        Assert.Equal(Name(2).EndLsn(SegmentSize), coverage.EndLsn);
        Assert.Equal(Content(2), await archive.ReadAsync(coverage.Items[1], CancellationToken.None));
        hangs.SetResult();
        await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
        Assert.False(spill.IsActive);
    }

    [Fact]
    public async Task Delete_WhatOnlyThisHostCouldReplace_StaysInTheRepositoryUntilThatIsThere()
    {
        WalArchive direct = new(_repository, SystemId);
        await direct.PutPieceAsync(Name(1), SegmentSize, 0, Content(1).AsMemory(0, 1000), Facts(1), CancellationToken.None);
        string piece = WalKey.Piece(Name(1), 0, 1000).ToKey(SystemId);
        await using WalSpill spill = await OpenSpillAsync();
        WalArchive archive = new(spill.Repository, SystemId);
        _isFull = true;
        await archive.PutPieceAsync(Name(1), SegmentSize, 1000, Content(1).AsMemory(1000, 1000), Facts(1), CancellationToken.None);
        await archive.PutSegmentAsync(Name(1), Content(1), Facts(1), CancellationToken.None);
        await archive.RemoveAsync([WalKey.Piece(Name(1), 0, 1000), WalKey.Piece(Name(1), 1000, 2000)], CancellationToken.None);
        Assert.Single(Files());
        Assert.Contains(piece, await KeysAsync());
        _isFull = false;
        await spill.BringAllAsync(static _ => Task.CompletedTask, static _ => Task.CompletedTask, CancellationToken.None);
        Assert.Equal([WalKey.Whole(Name(1)).ToKey(SystemId)], (await KeysAsync()).Where(static key => key.StartsWith("wal/", StringComparison.Ordinal)));
    }

    private static WalSegmentName Name(int number) => WalSegmentName.FromNumber(1, (ulong)number, SegmentSize);

    private static byte[] Content(int number)
    {
        byte[] content = new byte[SegmentSize];
        new Random(number).NextBytes(content);
        return content;
    }

    private static WalFacts Facts(int number) =>
        new() { Index = WalIndex.Empty, LastRecordEnd = Name(number).EndLsn(SegmentSize), ServerVersionNumber = 150000 };

    private static Task<Repository> OpenAsync(IObjectStore store) => Repository.OpenAsync(store, CancellationToken.None);

    private Task<WalSpill> OpenSpillAsync(
        Repository? repository = null,
        ulong systemId = SystemId,
        TimeSpan? patience = null,
        TimeSpan? reminder = null,
        IOperationObserver? observer = null,
        long epoch = 0) => WalSpill.OpenAsync(
        repository ?? _repository,
        systemId,
        epoch,
        new WalSpillOptions
        {
            Directory = Spill,
            Limit = 1 << 30,
            Patience = patience ?? TimeSpan.FromMinutes(1),
            RetryDelay = TimeSpan.FromMilliseconds(10),
            MaximumRetryDelay = TimeSpan.FromMilliseconds(100),
            ReminderInterval = reminder ?? TimeSpan.FromMinutes(10),
        },
        observer ?? NullObserver.Instance,
        CancellationToken.None);

    /// <summary>Five segments, of which the first goes to the repository, and two pieces of a sixth.</summary>
    private async Task FillAsync(WalSpill spill)
    {
        WalArchive archive = new(spill.Repository, SystemId);
        for (int number = 1; number <= 5; number++)
        {
            await archive.PutSegmentAsync(Name(number), Content(number), Facts(number), CancellationToken.None);
            _isFull = true;
        }

        await archive.PutPieceAsync(Name(6), SegmentSize, 0, Content(6).AsMemory(0, 1000), Facts(6), CancellationToken.None);
        await archive.PutPieceAsync(Name(6), SegmentSize, 1000, Content(6).AsMemory(1000, 3000), Facts(6), CancellationToken.None);
    }

    private async Task AssertArchivedAsync()
    {
        WalArchive archive = new(await OpenAsync(_inner), SystemId);
        WalCoverage coverage = await archive.GetCoverageAsync(1, Name(1).StartLsn(SegmentSize), null, CancellationToken.None);
        Assert.Null(coverage.Gap);
        Assert.Equal(Name(6).StartLsn(SegmentSize) + 4000, coverage.EndLsn);
        for (int i = 0; i < coverage.Items.Count; i++)
        {
            byte[] content = await archive.ReadAsync(coverage.Items[i], CancellationToken.None);
            Assert.True(Content(i + 1).AsSpan(0, content.Length).SequenceEqual(content));
        }
    }

    private string[] Files() =>
        [.. Directory.GetFiles(Spill).Select(static file => Path.GetFileName(file)).Where(static name => name.Length > 13).Order(StringComparer.Ordinal)];

    private async Task<byte[]> ReadAsync(string key)
    {
        await using Stream stream = await _inner.OpenReadAsync(key, 0, null, CancellationToken.None);
        using MemoryStream memory = new();
        await stream.CopyToAsync(memory);
        return memory.ToArray();
    }

    private async Task<string[]> KeysAsync()
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in _inner.ListAsync("", CancellationToken.None))
        {
            keys.Add(info.Key);
        }

        return [.. keys];
    }
}
