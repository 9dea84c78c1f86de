using System.Diagnostics;
using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class WalArchiveTests(WalSample sample) : IClassFixture<WalSample>, IAsyncLifetime
{
    private const int Size = WalSample.SegmentSize;

    private MemoryObjectStore _store = null!;
    private Repository _repository = null!;

    // A new archive knows nothing from before: it reads every head anew.
    private WalArchive Archive => new(_repository, sample.SystemId);

    public async Task InitializeAsync() => (_store, _repository) = await CreateRepositoryAsync();

    public async Task DisposeAsync() => await _store.DisposeAsync();

    [Fact]
    public async Task PutSegmentAsync_SameBytesAgain_IsFine_OtherBytes_AreALoudDuplicate_Trap28()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        await Archive.PutSegmentAsync(name, content, null, CancellationToken.None);
        IReadOnlyList<string> keys = _store.Keys;
        await Archive.PutSegmentAsync(name, content, null, CancellationToken.None);
        Assert.Equal(keys, _store.Keys);

        byte[] other = (byte[])content.Clone();
        other[^1] ^= 1;
        SmcException error = await ThrowsAsync(
            SmcErrorCode.WalDuplicate, () => Archive.PutSegmentAsync(name, other, Facts(name, content), CancellationToken.None));
        Assert.Contains(name.ToString(), error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("head")]
    [InlineData("payload")]
    [InlineData("truncated")]
    [InlineData("empty")]
    [InlineData("elsewhere")]
    public async Task Put_DamagedUnderTheSameName_MakesWayAndIsKept(string damage)
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        byte[] history = Encoding.UTF8.GetBytes($"1\t{name.StartLsn(Size)}\tno recovery target specified\n");
        (string Key, Func<WalArchive, Task> Put)[] objects =
        [
            (WalKey.Whole(name).ToKey(sample.SystemId), archive => archive.PutSegmentAsync(name, content, null, CancellationToken.None)),
            (WalKey.Piece(name, 0, 50_000).ToKey(sample.SystemId), archive => archive.PutPieceAsync(
                name, Size, 0, content.AsMemory(..50_000), Facts(name, content.AsSpan(..50_000)), CancellationToken.None)),
            (WalKey.History(2).ToKey(sample.SystemId), archive => archive.PutHistoryAsync(2, history, CancellationToken.None)),
        ];
        foreach ((string key, Func<WalArchive, Task> put) in objects)
        {
            await put(Archive);
            byte[] good = _store[key];
            byte[] bad = damage switch
            {
                "head" => Flip(good, 20),
                "payload" => Flip(good, good.Length - 3),
                "truncated" => good[..(good.Length / 2)],
                "empty" => [],
                _ => await ElsewhereAsync(put, key),
            };
            _store[key] = bad;
            RecordingObserver observer = new();

            await put(new WalArchive(_repository, sample.SystemId) { Observer = observer });

            // The heads differ in nothing: they hold no clock of this host.
            Assert.Equal(good, _store[key]);
            string aside = Assert.Single(_store.Keys, other => other.StartsWith(key + ".damaged-", StringComparison.Ordinal));
            Assert.Equal(bad, _store[aside]);
            Assert.Contains(aside, Assert.Single(observer.Warnings), StringComparison.Ordinal);

            // What was moved is no WAL to anybody.
            WalCatalog catalog = await Archive.LoadCatalogAsync(CancellationToken.None);
            Assert.DoesNotContain(
                catalog.Timelines.Values.SelectMany(static l => l.Segments.Values).SelectMany(static s => s.Pieces.Select(static p => p.Info).Append(s.Whole)),
                info => info?.Key == aside);
            await put(Archive);
            Assert.Single(_store.Keys, other => other.StartsWith(key + ".damaged-", StringComparison.Ordinal));
        }

        static byte[] Flip(byte[] bytes, int at)
        {
            byte[] flipped = (byte[])bytes.Clone();
            flipped[at] ^= 1;
            return flipped;
        }

        async Task<byte[]> ElsewhereAsync(Func<WalArchive, Task> put, string key)
        {
            (MemoryObjectStore store, Repository repository) = await CreateRepositoryAsync();
            await using (store)
            {
                await put(new WalArchive(repository, sample.SystemId));
                return store[key];
            }
        }
    }

    [Fact]
    public async Task Put_DamagedOnceWhenItIsRead_StaysAsItIs()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        await Archive.PutSegmentAsync(name, content, null, CancellationToken.None);
        IReadOnlyList<string> keys = _store.Keys;
        await using FaultyObjectStore faulty = new(_store);
        Repository repository = await Repository.OpenAsync(faulty, CancellationToken.None);
        // The calls: the put that is refused, the look at what is there, the reading.
        faulty.Plan(3, StoreFault.SilentTruncation);

        await new WalArchive(repository, sample.SystemId).PutSegmentAsync(name, content, null, CancellationToken.None);

        Assert.Equal(1, faulty.Injected);
        Assert.Equal(keys, _store.Keys);
    }

    [Fact]
    public async Task Put_DamagedAndTheStoreKeepsWhatItHas_SaysWhatToRemove()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        await Archive.PutSegmentAsync(name, content, null, CancellationToken.None);
        string key = WalKey.Whole(name).ToKey(sample.SystemId);
        byte[] bad = _store[key];
        bad[20] ^= 1;
        _store[key] = bad;
        _store.BeforeDelete = static (_, _) => throw new SmcException(SmcErrorCode.StorageAccessDenied, "It is locked.");

        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => Archive.PutSegmentAsync(name, content, null, CancellationToken.None));

        Assert.True(SmcErrors.IsDamage(error.Code), error.Message);
        Assert.Contains("It is locked.", error.Message, StringComparison.Ordinal);
        Assert.Contains(key, error.Recommendation, StringComparison.Ordinal);
        Assert.Equal(bad, _store[key]);
    }

    [Fact]
    public async Task PutSegmentAsync_EmptyShortOrForeignFile_IsRefused_Trap29()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        await ThrowsAsync(SmcErrorCode.WalInvalid, () => Archive.PutSegmentAsync(name, default, null, CancellationToken.None));
        await ThrowsAsync(SmcErrorCode.WalInvalid, () => Archive.PutSegmentAsync(name, content.AsMemory(0, Size / 2 + 8), null, CancellationToken.None));
        await ThrowsAsync(SmcErrorCode.WalInvalid, () => Archive.PutSegmentAsync(name.Next(Size), content, null, CancellationToken.None));
        await ThrowsAsync(
            SmcErrorCode.WalInvalid,
            () => new WalArchive(_repository, sample.SystemId + 1).PutSegmentAsync(name, content, null, CancellationToken.None));
        Assert.DoesNotContain(_store.Keys, static key => key.StartsWith("wal/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ReadAsync_AnyByteChangedMissingOrAdded_IsFound()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[1];
        await PutPieceAsync(name, content, 0, 50_000);
        string key = _store.Keys.Single(static k => k.StartsWith("wal/", StringComparison.Ordinal));
        byte[] good = _store[key];
        int head = Array.IndexOf(good, (byte)'\n') + 1;
        Assert.InRange(head, 300, 4096);
        Assert.Equal(50_000, (await ReadAllAsync(name)).Length);

        Random random = new(3);
        int[] positions = [.. Enumerable.Range(0, head), .. Enumerable.Range(0, 200).Select(_ => random.Next(head, good.Length)), good.Length - 1];
        foreach (int at in positions)
        {
            byte[] bad = (byte[])good.Clone();
            bad[at] ^= (byte)(1 << random.Next(8));
            await RefusedAsync(bad, $"bit at {at}");
            await RefusedAsync([.. good[..at], .. good[(at + 1)..]], $"byte {at} missing");
        }

        await RefusedAsync([.. good, 0], "a byte more");
        await RefusedAsync(good[..head], "no payload");
        await RefusedAsync(good[..(head / 2)], "half a head");
        await RefusedAsync([], "nothing");

        async Task RefusedAsync(byte[] bytes, string what)
        {
            _store[key] = bytes;
            SmcException? error = await Record.ExceptionAsync(() => ReadAllAsync(name)) as SmcException;
            Assert.True(error?.Code is SmcErrorCode.ChecksumMismatch or SmcErrorCode.ManifestInvalid, $"{what}: {error?.Code}");
            Assert.Equal(key, error!.Target);
        }
    }

    [Fact]
    public async Task GetCoverageAsync_ObjectOfAnotherPlaceOrRepository_IsRefused()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        await PutAsync(0);
        string key = _store.Keys.Single(static k => k.StartsWith("wal/", StringComparison.Ordinal));

        string moved = key.Replace(name.ToString(), name.Next(Size).ToString(), StringComparison.Ordinal);
        _store[moved] = _store[key];
        await ThrowsAsync(SmcErrorCode.ManifestInvalid, () => CoverAsync());
        await _store.DeleteAsync(moved, CancellationToken.None);

        await using MemoryObjectStore other = new();
        Repository foreign = await Repository.OpenOrCreateAsync(other, CancellationToken.None);
        other[key] = _store[key];
        await ThrowsAsync(
            SmcErrorCode.ManifestInvalid,
            () => new WalArchive(foreign, sample.SystemId).GetCoverageAsync(1, sample.StartLsn, null, CancellationToken.None));
    }

    [Fact]
    public async Task GetCoverageAsync_WholeSegments_ReadsHeadsAlone()
    {
        await PutAsync(0, 1, 2, 3, 4);
        long read = 0;
        _store.BeforeRead = (_, offset, length) => Interlocked.Add(ref read, offset + (length ?? long.MaxValue / 8));
        WalCoverage coverage = await CoverAsync();
        Assert.Equal(5, coverage.Items.Count);
        Assert.InRange(read, 1, 6 * 4096);
    }

    [Fact]
    public async Task GetCoverageAsync_LongHead_IsReadOn()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        WalRestorePoint[] points = [.. Enumerable.Range(0, WalIndex.MaximumRestorePoints).Select(i =>
            new WalRestorePoint($"point {i} with a name that takes some room <&>", DateTimeOffset.UnixEpoch, sample.StartLsn + (uint)i, sample.StartLsn))];
        WalFacts facts = Facts(name, content) with { Index = new WalIndex { RestorePoints = points, RestorePointCount = points.Length } };
        await Archive.PutSegmentAsync(name, content, facts, CancellationToken.None);
        Assert.Equal(points[^1].Lsn, (await CoverAsync()).FindRestorePoint(points[^1].Name)!.Lsn);
    }

    [Fact]
    public async Task GetCoverageAsync_RealWal_FindsEveryStopOfPgWaldump()
    {
        await PutAsync([.. Enumerable.Range(0, sample.Segments.Count)]);
        WalCoverage coverage = await CoverAsync();
        Assert.Null(coverage.Gap);
        Assert.Equal(sample.Segments[^1].Name.EndLsn(Size), coverage.EndLsn);
        // Here every segment was scanned by itself: a record that crosses into the next is not seen whole by either.
        int crossing = sample.Transactions.Count - (int)(coverage.Commits + coverage.Index.Aborts);
        Assert.InRange(crossing, 0, 2);

        foreach ((string name, Lsn lsn, Lsn end) in sample.RestorePoints)
        {
            Assert.Equal((lsn, end), (coverage.FindRestorePoint(name)!.Lsn, coverage.FindRestorePoint(name)!.EndLsn));
        }

        Assert.Null(coverage.FindRestorePoint("no such point"));
        foreach (var known in sample.Transactions.Where((_, i) => i % 23 == 0).Append(sample.Transactions.First(static t => t.Kind == WalTransactionKind.AbortPrepared)))
        {
            WalTransaction? found = await coverage.FindXidAsync(known.Xid, CancellationToken.None);
            Assert.Equal((known.Kind, known.Time, known.Lsn), (found!.Kind, found.Time, found.StartLsn));
            // PostgreSQL stops at the first end of a transaction behind the target, and that is in this segment.
            WalItem? item = coverage.FindCommitAfter(known.Time.AddTicks(-10));
            Assert.True(item!.StartLsn <= known.Lsn);
        }

        Assert.Null(await coverage.FindXidAsync(4_000_000_000, CancellationToken.None));
        Assert.Null(coverage.FindCommitAfter(coverage.LastStopTime!.Value));
        Assert.NotNull(coverage.FindCommitAfter(coverage.LastStopTime.Value, orAt: true));
    }

    [Fact]
    public async Task GetCoverageAsync_MissingSegment_IsNamedAsTheGap()
    {
        await PutAsync(0, 1, 3, 4);
        WalCoverage coverage = await CoverAsync();
        Assert.Equal(sample.Segments[2].Name, coverage.Gap);
        Assert.Equal(sample.Segments[2].Name.StartLsn(Size), coverage.EndLsn);

        WalCoverage behind = await Archive.GetCoverageAsync(1, sample.Segments[3].Name.StartLsn(Size) + 100, null, CancellationToken.None);
        Assert.Null(behind.Gap);
        Assert.Equal(2, behind.Items.Count);

        WalCoverage inside = await Archive.GetCoverageAsync(1, sample.Segments[2].Name.StartLsn(Size) + 100, null, CancellationToken.None);
        Assert.Empty(inside.Items);
        Assert.Equal(sample.Segments[2].Name, inside.Gap);

        WalCoverage beyond = await Archive.GetCoverageAsync(1, sample.Segments[5].Name.StartLsn(Size), null, CancellationToken.None);
        Assert.Empty(beyond.Items);
        Assert.Null(beyond.Gap);
    }

    [Fact]
    public async Task GetCoverageAsync_HoleBetweenPieces_EndsThereAndIsAGap()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[1];
        await PutAsync(0);
        await PutPieceAsync(name, content, 0, 1000);
        await PutPieceAsync(name, content, 1000, 3000);
        await PutPieceAsync(name, content, 4000, 5000);
        WalCoverage coverage = await CoverAsync();
        Assert.Equal(name.StartLsn(Size) + 3000, coverage.EndLsn);
        Assert.Equal(name, coverage.Gap);
        Assert.True(coverage.Items[^1].IsPartial);
    }

    [Fact]
    public async Task FetchAsync_Pieces_WritesAFullSegmentPaddedWithZeros()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[1];
        await PutPieceAsync(name, content, 0, 8192);
        await PutPieceAsync(name, content, 8192, 9000);
        // Another receiver's pieces overlap.
        await PutPieceAsync(name, content, 5000, 20_000);
        WalCoverage coverage = await Archive.GetCoverageAsync(1, name.StartLsn(Size), null, CancellationToken.None);
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, name.ToString());
        await Archive.FetchAsync(coverage.Items[0], path, CancellationToken.None);

        byte[] expected = new byte[Size];
        content.AsSpan(0, 20_000).CopyTo(expected);
        Assert.Equal(expected, await File.ReadAllBytesAsync(path));
        Assert.Single(Directory.GetFiles(directory.Path));
    }

    [Fact]
    public async Task TryFetchAsync_StandbyHasMoreOfTheSegmentThanTheRepository_LosesNothingOfIt()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[1];
        await PutPieceAsync(name, content, 0, 9000);
        using TemporaryDirectory directory = new();
        string destination = Path.Combine(directory.Path, "RECOVERYXLOG");
        Assert.False(await FetchAsync(name.Next(Size).ToString()));
        Assert.False(await FetchAsync("00000002.history"));
        Assert.False(await FetchAsync(name + ".00000028.backup"));
        Assert.False(File.Exists(destination));

        // What the standby has received goes on to 20,000; behind that lies what its file held before.
        byte[] own = new byte[Size];
        Random.Shared.NextBytes(own);
        content.AsSpan(0, 20_000).CopyTo(own);
        own.AsSpan(0, 5000).Clear();
        await File.WriteAllBytesAsync(Path.Combine(directory.Path, name.ToString()), own);
        Assert.True(await FetchAsync(name.ToString()));
        byte[] fetched = await File.ReadAllBytesAsync(destination);
        Assert.Equal(content[..20_000], fetched[..20_000]);
        Assert.Equal(own[20_000..], fetched[20_000..]);

        // A whole one is taken as it is.
        await Archive.PutSegmentAsync(name, content, null, CancellationToken.None);
        Assert.True(await FetchAsync(name.ToString()));
        Assert.Equal(content, await File.ReadAllBytesAsync(destination));

        byte[] history = TimelineHistory.Format([new TimelineBranch(1, name.StartLsn(Size), "no recovery target specified")]);
        await Archive.PutHistoryAsync(2, history, CancellationToken.None);
        Assert.True(await FetchAsync("00000002.history"));
        Assert.Equal(history, await File.ReadAllBytesAsync(destination));

        Task<bool> FetchAsync(string file) => WalFetch.TryFetchAsync(_repository, sample.SystemId, file, destination, CancellationToken.None);
    }

    [Fact]
    public async Task FetchAsync_DamagedPiece_LeavesNoFile()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[1];
        await PutPieceAsync(name, content, 0, 8192);
        WalCoverage coverage = await Archive.GetCoverageAsync(1, name.StartLsn(Size), null, CancellationToken.None);
        string key = _store.Keys.Single(static k => k.StartsWith("wal/", StringComparison.Ordinal));
        _store[key][^1] ^= 4;
        using TemporaryDirectory directory = new();
        await ThrowsAsync(
            SmcErrorCode.ChecksumMismatch, () => Archive.FetchAsync(coverage.Items[0], Path.Combine(directory.Path, "x"), CancellationToken.None));
        Assert.Empty(Directory.GetFiles(directory.Path));
    }

    [Fact]
    public async Task FetchAsync_PiecesBecameASegmentMeanwhile_TakesTheSegmentUpToWhatWasPlanned()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[1];
        await PutPieceAsync(name, content, 0, 8192);
        string piece = _store.Keys.Single(static k => k.StartsWith("wal/", StringComparison.Ordinal));
        WalArchive archive = Archive;
        WalCoverage coverage = await archive.GetCoverageAsync(1, name.StartLsn(Size), null, CancellationToken.None);
        await PutAsync(1);
        await _store.DeleteAsync(piece, CancellationToken.None);
        Assert.Equal(content[..8192], await archive.ReadAsync(coverage.Items[0], CancellationToken.None));
    }

    [Fact]
    public async Task FetchAsync_OverlappingPiecesThatDiffer_AreALoudDuplicate()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[1];
        await PutPieceAsync(name, content, 0, 8192);
        byte[] other = (byte[])content.Clone();
        other[8000] ^= 1;
        await PutPieceAsync(name, other, 7000, 20_000, Facts(name, content));
        WalCoverage coverage = await Archive.GetCoverageAsync(1, name.StartLsn(Size), null, CancellationToken.None);
        await ThrowsAsync(SmcErrorCode.WalDuplicate, () => Archive.ReadAsync(coverage.Items[0], CancellationToken.None));
    }

    [Fact]
    public async Task GetCoverageAsync_Timelines_FollowsTheNewerFileFromTheSwitchOn()
    {
        Lsn left = sample.Segments[3].Name.StartLsn(Size) + 400_000;
        await PutAsync(0, 1, 2);
        await PutPieceAsync(sample.Segments[3].Name, sample.Segments[3].Content, 0, 600_000);
        await PutHistoryAsync(2, left);

        // Nothing of the new timeline yet: the old one's counts up to where it was left, and not a commit further.
        WalCoverage before = await CoverAsync();
        Assert.Equal((2u, left, true), (before.EndTimeline, before.EndLsn, before.Items[^1].IsPartial));
        Assert.Null(before.Gap);
        Assert.True(before.LastRecordEnd <= left);
        Assert.Equal(
            sample.Transactions.Count(t => t.Lsn >= sample.Segments[3].Name.StartLsn(Size) && t.Lsn < left),
            before.Items[^1].Index.Commits + before.Items[^1].Index.Aborts);
        Assert.Equal(left, (await Archive.GetCoverageAsync(1, sample.StartLsn, 2, CancellationToken.None)).EndLsn);
        Assert.Equal(sample.Segments[3].Name.StartLsn(Size) + 600_000, (await Archive.GetCoverageAsync(1, sample.StartLsn, 1, CancellationToken.None)).EndLsn);

        foreach (int i in (int[])[3, 4])
        {
            (WalSegmentName name, byte[] content) = sample.Segments[i];
            await Archive.PutSegmentAsync(name with { Timeline = 2 }, content, null, CancellationToken.None);
        }

        WalCoverage after = await CoverAsync();
        Assert.Equal([1u, 1u, 1u, 2u, 2u], after.Items.Select(static item => item.Timeline));
        Assert.Equal(sample.Segments[4].Name.EndLsn(Size), after.EndLsn);
        Assert.Equal(2u, Assert.Single(after.Histories).Timeline);
    }

    [Fact]
    public async Task GetCoverageAsync_Latest_IgnoresATimelineThatLeftBeforeTheStart()
    {
        await PutAsync(0, 1, 2, 3);
        // A restore test that ended early made a timeline of its own: it is no way on for a backup behind it.
        await PutHistoryAsync(2, sample.Segments[1].Name.StartLsn(Size) + 10);
        Lsn from = sample.Segments[2].Name.StartLsn(Size) + 10;
        WalCoverage coverage = await Archive.GetCoverageAsync(1, from, null, CancellationToken.None);
        Assert.Equal((1u, 2), (coverage.EndTimeline, coverage.Items.Count));
        await ThrowsAsync(SmcErrorCode.TimelineMismatch, () => Archive.GetCoverageAsync(1, from, 2, CancellationToken.None));
        await ThrowsAsync(SmcErrorCode.TimelineMismatch, () => Archive.GetCoverageAsync(1, from, 7, CancellationToken.None));
        // For one that lies before it is what PostgreSQL calls latest.
        Assert.Equal(2u, (await CoverAsync()).EndTimeline);
    }

    [Fact]
    public async Task PutHistoryAsync_TwoServersPromotedToTheSameTimeline_IsALoudDuplicate()
    {
        await PutHistoryAsync(2, new Lsn(100));
        await PutHistoryAsync(2, new Lsn(100));
        await ThrowsAsync(SmcErrorCode.WalDuplicate, () => PutHistoryAsync(2, new Lsn(200)));
    }

    [Fact]
    public async Task ListAsync_SegmentsPiecesAndHistories_AreShownOnce()
    {
        await PutAsync(0, 1);
        await PutPieceAsync(sample.Segments[1].Name, sample.Segments[1].Content, 0, 1000);
        await PutPieceAsync(sample.Segments[2].Name, sample.Segments[2].Content, 0, 1000);
        await PutPieceAsync(sample.Segments[2].Name, sample.Segments[2].Content, 1000, 3000);
        await PutHistoryAsync(2, sample.StartLsn + 10);
        List<WalSegmentInfo> infos = [];
        await foreach (WalSegmentInfo info in Archive.ListAsync(CancellationToken.None))
        {
            infos.Add(info);
        }

        Assert.Equal(["Segment", "Segment", "Partial", "History"], infos.Select(static info => info.Kind));
        Assert.Equal("00000002.history", infos[^1].Name);
        Assert.Equal(3000, infos[2].SizeBytes);
        Assert.All(infos, static info => Assert.True(info.StoredBytes > 0));
        Assert.True(infos[0].CommitCount > 0);
        ulong system = 0;
        await foreach (ulong id in WalArchive.ListSystemsAsync(_repository, CancellationToken.None))
        {
            system = system == 0 ? id : throw new InvalidOperationException("There is one.");
        }

        Assert.Equal(sample.SystemId, system);
    }

    [Fact]
    public async Task WalStreamWriter_ManyPieces_AreReplacedByFew_AndByTheSegmentInTheEnd()
    {
        WalArchive archive = Archive;
        WalStreamWriter writer = await OpenWriterAsync(archive, sample.Segments[0].Name);
        byte[] bytes = sample.Segments[0].Content;
        int at = 0;
        for (int i = 0; i < 200; i++)
        {
            await writer.AppendAsync(bytes.AsMemory(at, 1500), Stopwatch.GetTimestamp(), DateTimeOffset.UtcNow, CancellationToken.None);
            at += 1500;
            await writer.FlushAsync(CancellationToken.None);
            Assert.Equal(sample.StartLsn + (uint)at, writer.FlushedLsn);
            Assert.InRange(Pieces().Length, 1, WalStreamWriter.PiecesPerRun + (i / WalStreamWriter.PiecesPerRun) + 1);
        }

        WalCoverage coverage = await CoverAsync();
        Assert.Equal(sample.StartLsn + (uint)at, coverage.EndLsn);
        Assert.Equal(sample.Transactions.Count(t => t.Lsn < coverage.LastRecordEnd), coverage.Commits + coverage.Index.Aborts);
        Assert.Equal(bytes[..at], await archive.ReadAsync(coverage.Items[0], CancellationToken.None));

        await writer.AppendAsync(bytes.AsMemory(at), Stopwatch.GetTimestamp(), DateTimeOffset.UtcNow, CancellationToken.None);
        Assert.Empty(Pieces());
        Assert.Equal(1, writer.SegmentCount);

        string[] Pieces() => [.. _store.Keys.Where(static key => key.StartsWith("wal/", StringComparison.Ordinal) && key.Contains('.', StringComparison.Ordinal))];
    }

    [Fact]
    public async Task WalStreamWriter_SegmentThatComesQuickly_IsMadeOfWhatItsPiecesWereCompressedTo()
    {
        WalArchive archive = Archive;
        WalStreamWriter writer = await OpenWriterAsync(archive, sample.Segments[0].Name);
        byte[] bytes = sample.Segments[0].Content;
        List<byte[]> payloads = [];
        for (int at = 0; at < Size; at += Size / 4)
        {
            await writer.AppendAsync(bytes.AsMemory(at, Size / 4), Stopwatch.GetTimestamp(), DateTimeOffset.UtcNow, CancellationToken.None);
            await writer.FlushAsync(CancellationToken.None);
            if (at < Size * 3 / 4)
            {
                payloads.Add(Payload(_store.Keys.Last(static key => key.Contains('.', StringComparison.Ordinal))));
            }
        }

        string whole = Assert.Single(_store.Keys, static key => key.StartsWith("wal/", StringComparison.Ordinal));
        Assert.StartsWith(Convert.ToHexString([.. payloads.SelectMany(static payload => payload)]), Convert.ToHexString(Payload(whole)), StringComparison.Ordinal);
        WalCoverage coverage = await CoverAsync();
        Assert.Equal(bytes, await Archive.ReadAsync(Assert.Single(coverage.Items), CancellationToken.None));

        byte[] Payload(string key)
        {
            byte[] content = _store[key];
            return content[(content.AsSpan().IndexOf((byte)'\n') + 1)..];
        }
    }

    [Fact]
    public async Task WalStreamWriter_AfterARestart_OverlooksNoTransactionThatCrossesSegments()
    {
        WalArchive archive = Archive;
        for (int i = 0; i < sample.Segments.Count; i++)
        {
            // A new writer for every segment: as if the receiver had been restarted at each boundary.
            WalStreamWriter writer = await OpenWriterAsync(archive, sample.Segments[i].Name);
            await writer.AppendAsync(sample.Segments[i].Content, Stopwatch.GetTimestamp(), DateTimeOffset.UtcNow, CancellationToken.None);
        }

        WalCoverage coverage = await CoverAsync();
        Assert.Equal(sample.Transactions.Count, coverage.Commits + coverage.Index.Aborts);
    }

    [Fact]
    public async Task WalStreamWriter_OtherBytesThanArchived_AreALoudDuplicateBeforeAnythingIsStored()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[0];
        await PutPieceAsync(name, content, 0, 30_000);
        WalStreamWriter writer = await OpenWriterAsync(Archive, name);
        byte[] other = (byte[])content.Clone();
        other[29_999] ^= 1;
        IReadOnlyList<string> before = _store.Keys;
        SmcException error = await ThrowsAsync(
            SmcErrorCode.WalDuplicate, () => writer.AppendAsync(other.AsMemory(0, 40_000), Stopwatch.GetTimestamp(), DateTimeOffset.UtcNow, CancellationToken.None));
        Assert.Contains((name.StartLsn(Size) + 29_999).ToString(), error.Message, StringComparison.Ordinal);
        Assert.Equal(before, _store.Keys);
    }

    [Fact]
    public async Task WalStreamWriter_PiecesThatCannotBeRemoved_DoNoHarm()
    {
        _store.BeforeDelete = static (_, _) => throw new SmcException(SmcErrorCode.StorageAccessDenied, "The object is locked.");
        WalStreamWriter writer = await OpenWriterAsync(Archive, sample.Segments[0].Name);
        for (int at = 0; at < Size; at += Size / 128)
        {
            await writer.AppendAsync(sample.Segments[0].Content.AsMemory(at, Size / 128), Stopwatch.GetTimestamp(), DateTimeOffset.UtcNow, CancellationToken.None);
            await writer.FlushAsync(CancellationToken.None);
        }

        WalCoverage coverage = await CoverAsync();
        Assert.Single(coverage.Items);
        Assert.Equal(sample.Segments[0].Content, await Archive.ReadAsync(coverage.Items[0], CancellationToken.None));
        Assert.Equal(sample.Transactions.Count(t => t.Lsn < coverage.LastRecordEnd), coverage.Commits + coverage.Index.Aborts);
    }

    [Fact]
    public async Task WalWindows_BackupsAndWal_AreWhatTrulyCanBeRestored()
    {
        await PutAsync(0, 1, 2, 4);
        string whole = await BackupAsync(0, 1);
        string atTheEdge = await BackupAsync(2, 2);
        string acrossTheGap = await BackupAsync(2, 4);
        string behindTheGap = await BackupAsync(4, 4);
        List<RecoveryWindow> windows = [];
        await foreach (RecoveryWindow window in WalWindows.ListAsync(_repository, CancellationToken.None))
        {
            windows.Add(window);
        }

        // A backup that lacks WAL between its start and its stop can never be consistent.
        Assert.Equal([whole, atTheEdge, behindTheGap], windows.Select(static window => window.BackupId));
        Assert.DoesNotContain(windows, window => window.BackupId == acrossTheGap);
        Assert.Equal(sample.Segments[3].Name.ToString(), windows[0].Gap);
        Assert.Null(windows[2].Gap);
        Assert.Equal(sample.Segments[2].Name.EndLsn(Size).ToString(), windows[0].LatestLsn);
        Assert.NotNull(windows[0].LatestTime);
    }

    [Fact]
    public async Task WalWindows_TimelineThatLeftDuringTheBackup_IsNotFollowed_Trap18()
    {
        await PutAsync(0, 1, 2, 3);
        string backup = await BackupAsync(1, 2);
        Lsn start = sample.Segments[1].Name.StartLsn(Size) + 40;
        Lsn stop = sample.Segments[2].Name.StartLsn(Size) + 50_000;
        // A standby was promoted while the old primary was still being copied; its WAL goes on behind the backup's stop.
        await PutHistoryAsync(2, new Lsn(stop.Value - 10_000));
        foreach (int i in new[] { 2, 3, 4 })
        {
            await Archive.PutSegmentAsync(sample.Segments[i].Name with { Timeline = 2 }, sample.Segments[i].Content, null, CancellationToken.None);
        }

        List<RecoveryWindow> windows = [];
        await foreach (RecoveryWindow one in WalWindows.ListAsync(_repository, CancellationToken.None))
        {
            windows.Add(one);
        }

        RecoveryWindow window = Assert.Single(windows);
        Assert.Equal((backup, 1), (window.BackupId, window.Timeline));
        Assert.Equal(sample.Segments[3].Name.EndLsn(Size).ToString(), window.LatestLsn);
        await ThrowsAsync(SmcErrorCode.TimelineMismatch, () => Archive.GetCoverageAsync(1, start, stop, 2, CancellationToken.None));
        // From the start alone it comes.
        Assert.Equal(2u, (await Archive.GetCoverageAsync(1, start, null, CancellationToken.None)).EndTimeline);
    }

    [Fact]
    public async Task WalWindows_GapBeforeATimelineWasLeft_TheEndOfTheWindowIsATarget()
    {
        await PutAsync(0, 1, 2);
        string backup = await BackupAsync(0, 1);
        await PutHistoryAsync(2, sample.Segments[4].Name.StartLsn(Size) + 5000);
        await Archive.PutSegmentAsync(sample.Segments[4].Name with { Timeline = 2 }, sample.Segments[4].Content, null, CancellationToken.None);
        BackupHeader header = (await _repository.OpenBackupAsync(Component.Database, backup, CancellationToken.None)).Header;
        await foreach (RecoveryWindow window in WalWindows.ListAsync(_repository, CancellationToken.None))
        {
            Assert.Equal(2, window.Timeline);
            Assert.NotNull(window.Gap);
            RecoveryTarget end = RecoveryTarget.AtLsn(Lsn.Parse(window.LatestLsn));
            RecoveryStop stop = await new TargetResolver(Archive, header, end).ResolveAsync(CancellationToken.None);
            Assert.Equal((1u, end.Lsn), (stop.Coverage.EndTimeline, stop.Coverage.EndLsn));
            RecoveryTarget behind = RecoveryTarget.AtLsn(Lsn.Parse(window.LatestLsn) + 1);
            await ThrowsAsync(SmcErrorCode.WalGap, () => new TargetResolver(Archive, header, behind).ResolveAsync(CancellationToken.None));
        }
    }

    [Fact]
    public async Task WalWindows_DamagedObject_TakesNothingFromWhatLiesBeforeIt()
    {
        await PutAsync(0, 1, 2, 3, 4);
        string before = await BackupAsync(0, 0);
        string across = await BackupAsync(2, 3, DateTimeOffset.UnixEpoch.AddSeconds(1));
        WalSegmentName damaged = sample.Segments[3].Name;
        string key = WalKey.Whole(damaged).ToKey(sample.SystemId);
        byte[] bytes = _store[key];
        bytes[20] ^= 1;
        _store[key] = bytes;

        RecordingObserver observer = new();
        List<RecoveryWindow> windows = [];
        await foreach (RecoveryWindow one in WalWindows.ListAsync(_repository, observer, CancellationToken.None))
        {
            windows.Add(one);
        }

        RecoveryWindow window = Assert.Single(windows);
        Assert.Equal((before, damaged.ToString()), (window.BackupId, window.Gap));
        Assert.Equal(damaged.StartLsn(Size).ToString(), window.LatestLsn);
        Assert.Contains(observer.Warnings, text => text.Contains(key, StringComparison.Ordinal));

        // What lies before is recovered from the older backup, as the newer one is not consistent without the segment.
        RecoveryRequest request = new()
        {
            Repository = _repository,
            DataDirectory = "/nowhere",
            Target = RecoveryTarget.AtLsn(new Lsn(damaged.StartLsn(Size).Value - 1000)),
        };
        RecoverySource source = await RecoverySource.ChooseAsync(request, null, observer, CancellationToken.None);
        Assert.Equal(before, source.Reader.Header.Id);

        SmcException refused = await Assert.ThrowsAsync<SmcException>(() => RecoverySource.ChooseAsync(
            request with { Target = RecoveryTarget.AtLsn(damaged.EndLsn(Size)) }, null, observer, CancellationToken.None));
        Assert.True(SmcErrors.IsDamage(refused.Code), refused.Message);
        Assert.Equal(damaged.ToString(), refused.Target);
        Assert.Contains($"'{across}'", refused.Message, StringComparison.Ordinal);

        // Whoever reads the archive itself is told.
        Assert.True(SmcErrors.IsDamage((await Assert.ThrowsAsync<SmcException>(CoverAsync)).Code));
    }

    [Fact]
    public async Task GetSegmentSizeAsync_FirstObjectIsDamaged_IsReadFromAnother()
    {
        await PutAsync(0, 1);
        string key = WalKey.Whole(sample.Segments[0].Name).ToKey(sample.SystemId);
        _store[key] = [];
        WalArchive archive = Archive;

        Assert.Equal(Size, await archive.GetSegmentSizeAsync(await archive.LoadCatalogAsync(CancellationToken.None), CancellationToken.None));
    }

    [Fact]
    public async Task ResolveAsync_IsThereACommitAfterTheTarget_IsToldByTheIndexAlone()
    {
        int count = sample.Segments.Count;
        await PutAsync([.. Enumerable.Range(0, count)]);
        string id = await BackupAsync(0, 0);
        Dictionary<string, int> reads = new(StringComparer.Ordinal);
        HookedObjectStore counting = new(_store, (operation, key) =>
        {
            if (operation == "read" && key.StartsWith("wal/", StringComparison.Ordinal))
            {
                lock (reads)
                {
                    reads[key] = reads.GetValueOrDefault(key) + 1;
                }
            }

            return Task.CompletedTask;
        });
        Repository repository = await Repository.OpenAsync(counting, CancellationToken.None);
        BackupHeader header = (await repository.TryFindAsync(Component.Database, id, CancellationToken.None))!.Header!;
        DateTimeOffset last = sample.Transactions[^1].Time;

        // Nothing ended later: one read for the head of each object, and none for what is in it.
        SmcException none = await ThrowsAsync(
            SmcErrorCode.TargetNotReached,
            () => new TargetResolver(new WalArchive(repository, sample.SystemId), header, RecoveryTarget.AtTime(last.AddYears(1)))
                .ResolveAsync(CancellationToken.None));
        Assert.Contains("The archive ends before", none.Message, StringComparison.Ordinal);
        Assert.Equal(count, reads.Count);
        Assert.All(reads.Values, static number => Assert.Equal(1, number));

        // Something did: besides, the segment in which it ended is read, and the one before, where its record may begin.
        reads.Clear();
        DateTimeOffset middle = sample.Transactions[sample.Transactions.Count / 2].Time;
        RecoveryStop stop = await new TargetResolver(new WalArchive(repository, sample.SystemId), header, RecoveryTarget.AtTime(middle))
            .ResolveAsync(CancellationToken.None);
        Assert.NotNull(stop.NeededLsn);
        Assert.Equal(count, reads.Count);
        Assert.InRange(reads.Values.Sum() - count, 1, 2);
    }

    private static async Task<(MemoryObjectStore Store, Repository Repository)> CreateRepositoryAsync()
    {
        MemoryObjectStore store = new();
        return (store, await Repository.OpenOrCreateAsync(store, CancellationToken.None));
    }

    private static async Task<SmcException> ThrowsAsync(SmcErrorCode code, Func<Task> action)
    {
        SmcException error = await Assert.ThrowsAsync<SmcException>(action);
        Assert.Equal(code, error.Code);
        return error;
    }

    private WalFacts Facts(WalSegmentName name, ReadOnlySpan<byte> content)
    {
        WalIndexBuilder index = new();
        WalRecordScanner scanner = new(name.StartLsn(Size), name.Timeline, Size, sample.SystemId) { OnTransaction = index.Add, OnRestorePoint = index.Add };
        scanner.Append(content);
        return new WalFacts { Index = index.Take(), LastRecordEnd = scanner.LastRecordEnd };
    }

    private Task PutPieceAsync(WalSegmentName name, byte[] content, int start, int end, WalFacts? facts = null) => Archive.PutPieceAsync(
        name, Size, start, content.AsMemory(start..end), facts ?? Facts(name, content.AsSpan(0, end)), CancellationToken.None);

    private Task PutHistoryAsync(uint timeline, Lsn left) => Archive.PutHistoryAsync(
        timeline, Encoding.UTF8.GetBytes($"1\t{left}\tno recovery target specified\n"), CancellationToken.None);

    private async Task PutAsync(params int[] segments)
    {
        foreach (int i in segments)
        {
            await Archive.PutSegmentAsync(sample.Segments[i].Name, sample.Segments[i].Content, null, CancellationToken.None);
        }
    }

    private Task<WalCoverage> CoverAsync() => Archive.GetCoverageAsync(1, sample.StartLsn, null, CancellationToken.None);

    private async Task<byte[]> ReadAllAsync(WalSegmentName name)
    {
        WalArchive archive = Archive;
        WalCoverage coverage = await archive.GetCoverageAsync(1, name.StartLsn(Size), null, CancellationToken.None);
        return await archive.ReadAsync(coverage.Items[0], CancellationToken.None);
    }

    private static async Task<WalStreamWriter> OpenWriterAsync(WalArchive archive, WalSegmentName name) => await WalStreamWriter.OpenAsync(
        archive,
        await archive.LoadCatalogAsync(CancellationToken.None),
        TimelineHistory.Root(1),
        name,
        Size,
        150000,
        NullObserver.Instance,
        CancellationToken.None);

    private async Task<string> BackupAsync(int first, int last, DateTimeOffset? stopTime = null)
    {
        await using BackupWriter writer = await _repository.BeginBackupAsync(
            Component.Database, "Full", null, null, null, null, CancellationToken.None);
        BackupHeader header = await writer.CompleteAsync(
            "Full",
            h => h with
            {
                Database = new DatabaseBackupDetails
                {
                    SystemId = sample.SystemId.ToString(System.Globalization.CultureInfo.InvariantCulture),
                    ServerVersionNumber = 150000,
                    ServerVersion = "15.0",
                    Timeline = 1,
                    StartLsn = sample.Segments[first].Name.StartLsn(Size) + 40,
                    StopLsn = sample.Segments[last].Name.StartLsn(Size) + 50_000,
                    StopTime = stopTime ?? DateTimeOffset.UnixEpoch,
                    StopTimeHere = DateTimeOffset.UnixEpoch,
                    WalSegmentSize = Size,
                    BlockSize = 8192,
                    WalBlockSize = 8192,
                    RelationSegmentBlocks = 131072,
                    DataChecksums = true,
                    DirectoryMode = 0x1C0,
                    DataDirectory = "/nowhere",
                },
            },
            CancellationToken.None);
        return header.Id;
    }
}
