using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Importing;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal.Importing;

/// <summary>Directories as archive commands leave them, and as nobody wishes to find them.</summary>
public sealed class WalImportTests(WalSample sample) : IClassFixture<WalSample>, IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new();
    private Repository _repository = null!;

    private string Source => Path.Combine(_directory.Path, "archive");

    private WalArchive Archive => new(_repository, sample.SystemId);

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(Source);
        _repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory.Path, "repository")), default);
    }

    public Task DisposeAsync()
    {
        _directory.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task RunAsync_WholeArchive_IsWhatWasStreamedWouldBe_AndASecondRunStoresNothing()
    {
        WriteAll();
        Write("000000010000000000000002.00000028.backup", [1, 2, 3]);
        Write("notes.txt", [1]);

        WalImportResult first = await ImportAsync();
        WalImportResult second = await ImportAsync();

        Assert.Equal("Complete", first.State);
        Assert.Equal(sample.Segments.Count, first.ImportedCount);
        Assert.Equal((long)sample.Segments.Count * WalSample.SegmentSize, first.SizeBytes);
        Assert.Equal(sample.Segments[0].Name.ToString(), first.FirstSegment);
        Assert.Equal(sample.Segments[^1].Name.ToString(), first.LastSegment);
        Assert.Equal(1, first.LabelCount);
        Assert.Equal([Path.Combine(Source, "notes.txt")], first.Unknown);
        Assert.Equal(sample.SystemId.ToString(CultureInfo.InvariantCulture), first.SystemId);
        Assert.Equal((0L, (long)sample.Segments.Count, 0L), (second.ImportedCount, second.PresentCount, second.RefusedCount));

        WalCoverage coverage = await Archive.GetCoverageAsync(1, sample.StartLsn, null, default);
        Assert.Equal(sample.Segments.Count, coverage.Items.Count);
        foreach ((WalItem item, (WalSegmentName name, byte[] content)) in coverage.Items.Zip(sample.Segments))
        {
            Assert.Equal(name, item.Name);
            Assert.Equal(content, await Archive.ReadAsync(item, default));
        }

        // Also those whose record goes from one segment to the next are in the index.
        Assert.Equal(sample.Transactions.Count(static t => t.Kind is WalTransactionKind.Commit or WalTransactionKind.CommitPrepared), coverage.Commits);
        Assert.Equal(sample.RestorePoints.Count, coverage.Index.RestorePointCount);
    }

    [Fact]
    public async Task RunAsync_DamagedInTheArchive_IsStoredAgain()
    {
        WriteAll();
        await ImportAsync();
        string key = Path.Combine(_directory.Path, "repository", WalKey.Whole(sample.Segments[1].Name).ToKey(sample.SystemId));
        byte[] good = await File.ReadAllBytesAsync(key);
        await File.WriteAllBytesAsync(key, [.. good[..20], (byte)(good[20] ^ 1), .. good[21..]]);

        WalImportResult result = await ImportAsync();

        Assert.Equal(("Complete", 1L), (result.State, result.ImportedCount));
        WalCoverage coverage = await Archive.GetCoverageAsync(1, sample.StartLsn, null, default);
        Assert.Equal(sample.Segments.Count, coverage.Items.Count);
        Assert.Equal(sample.Segments[1].Content, await Archive.ReadAsync(coverage.Items[1], default));
    }

    [Fact]
    public async Task RunAsync_PlainGzipAndZstandardInDirectories_AreTheSame()
    {
        for (int i = 0; i < sample.Segments.Count; i++)
        {
            (WalSegmentName name, byte[] content) = sample.Segments[i];
            string folder = i % 2 == 0 ? "even/" : "odd/deep/";
            switch (i % 3)
            {
                case 0:
                    Write($"{folder}{name}", content);
                    break;
                case 1:
                    Write($"{folder}{name}.gz", Gzip(content));
                    break;
                default:
                    Write($"{folder}{name}.zst", Zstandard(content));
                    break;
            }
        }

        // The same segment twice, packed and not, is no harm.
        Write($"{sample.Segments[0].Name}.gz", Gzip(sample.Segments[0].Content));

        WalImportResult flat = await ImportAsync();
        WalImportResult result = await ImportAsync(recurse: true);

        Assert.Equal(1, flat.ImportedCount);
        Assert.Equal("Complete", result.State);
        Assert.Equal(sample.Segments.Count - 1, result.ImportedCount);
        Assert.Equal(2, result.PresentCount);
        Assert.Null((await Archive.GetCoverageAsync(1, sample.StartLsn, null, default)).Gap);
    }

    [Theory]
    [InlineData("foreign", "SmcSystemIdMismatch", "belongs to the database cluster")]
    [InlineData("flipped", "SmcWalInvalid", "checksum")]
    [InlineData("truncated", "SmcWalInvalid", "cut off")]
    [InlineData("longer", "SmcWalInvalid", "more than")]
    [InlineData("renamed", "SmcWalInvalid", "used again")]
    [InlineData("timeline", "SmcWalInvalid", "of timeline")]
    [InlineData("gzip cut off", "SmcWalInvalid", "")]
    [InlineData("zstd damaged", "SmcWalInvalid", "")]
    [InlineData("empty", "SmcWalInvalid", "0 bytes")]
    public async Task RunAsync_OneFileIsNotRight_IsRefusedAndTheOthersAreTaken(string what, string errorId, string reason)
    {
        const int Place = 3;
        (WalSegmentName name, byte[] content) = sample.Segments[Place];
        byte[] changed = [.. content];
        string file = name.ToString();
        for (int i = 0; i < sample.Segments.Count; i++)
        {
            if (i != Place)
            {
                Write(sample.Segments[i].Name.ToString(), sample.Segments[i].Content);
            }
        }

        switch (what)
        {
            case "foreign":
                BinaryPrimitives.WriteUInt64LittleEndian(changed.AsSpan(24), 42);
                break;
            case "flipped":
                Lsn record = sample.Records.First(lsn => lsn >= name.StartLsn(WalSample.SegmentSize) + (WalSample.SegmentSize / 2));
                changed[(int)(record - name.StartLsn(WalSample.SegmentSize)) + 20] ^= 0x10;
                break;
            case "truncated":
                changed = changed[..^8192];
                break;
            case "longer":
                changed = [.. changed, 0];
                break;
            case "renamed":
                changed = [.. sample.Segments[Place + 1].Content];
                break;
            case "timeline":
                BinaryPrimitives.WriteUInt32LittleEndian(changed.AsSpan(4), 7);
                break;
            case "gzip cut off":
                changed = Gzip(changed)[..2000];
                file += ".gz";
                break;
            case "zstd damaged":
                changed = Zstandard(changed);
                changed[changed.Length / 2] ^= 0x55;
                file += ".zst";
                break;
            default:
                changed = [];
                break;
        }

        Write(file, changed);

        WalImportResult result = await ImportAsync();

        WalImportProblem problem = Assert.Single(result.Refused);
        Assert.Equal(Path.Combine(Source, file), problem.Path);
        Assert.Equal(errorId, problem.ErrorId);
        Assert.Contains(reason, problem.Reason, StringComparison.Ordinal);
        Assert.Equal("Partial", result.State);
        Assert.Equal(sample.Segments.Count - 1, result.ImportedCount);
        Assert.Equal(name, (await Archive.GetCoverageAsync(1, sample.StartLsn, null, default)).Gap);

        // A good copy mends it.
        File.Delete(Path.Combine(Source, file));
        Write(name.ToString(), content);
        WalImportResult mended = await ImportAsync();
        Assert.Equal((1L, 0L), (mended.ImportedCount, mended.RefusedCount));
        Assert.Null((await Archive.GetCoverageAsync(1, sample.StartLsn, null, default)).Gap);
    }

    [Fact]
    public async Task RunAsync_DamageInARecordOfTwoSegments_StoresNeither()
    {
        // A record of 3 MB goes through whole segments of 1 MB: the one in which nothing begins.
        int middle = Enumerable.Range(0, sample.Segments.Count).First(i =>
            !sample.Records.Any(lsn => lsn >= sample.Segments[i].Name.StartLsn(WalSample.SegmentSize) && lsn < sample.Segments[i].Name.EndLsn(WalSample.SegmentSize)));
        WriteAll();
        byte[] changed = [.. sample.Segments[middle].Content];
        changed[5000] ^= 1;
        Write(sample.Segments[middle].Name.ToString(), changed);

        WalImportResult result = await ImportAsync();

        Assert.Contains(Path.Combine(Source, sample.Segments[middle].Name.ToString()), result.Refused.Select(static problem => problem.Path));
        Assert.Contains(Path.Combine(Source, sample.Segments[middle - 1].Name.ToString()), result.Refused.Select(static problem => problem.Path));
        Assert.InRange(result.RefusedCount, 3, 5);
        Assert.Equal(sample.Segments.Count - result.RefusedCount, result.ImportedCount);
    }

    [Fact]
    public async Task RunAsync_TwoFilesOfOneSegmentDiffer_RefusesBothAndNamesBoth()
    {
        WriteAll();
        (WalSegmentName name, byte[] content) = sample.Segments[2];
        byte[] other = [.. content];
        other[WalSample.SegmentSize / 2] ^= 1;
        Write($"copy/{name}.gz", Gzip(other));

        WalImportResult result = await ImportAsync(recurse: true);

        Assert.Equal(2, result.RefusedCount);
        Assert.All(result.Refused, problem =>
        {
            Assert.Equal("SmcWalDuplicate", problem.ErrorId);
            Assert.Contains(Path.Combine(Source, name.ToString()), problem.Reason, StringComparison.Ordinal);
            Assert.Contains(Path.Combine(Source, "copy", $"{name}.gz"), problem.Reason, StringComparison.Ordinal);
        });
        Assert.Equal(sample.Segments.Count - 1, result.ImportedCount);
    }

    [Fact]
    public async Task RunAsync_RepositoryHasOtherBytes_RefusesAndNamesFileAndObject()
    {
        WriteAll();
        await ImportAsync();
        // Behind the switch record, where no record is, and no check either: only the comparison finds it.
        (WalSegmentName name, byte[] content) = sample.Segments[^1];
        byte[] changed = [.. content];
        changed[^1] ^= 1;
        Write(name.ToString(), changed);

        WalImportResult result = await ImportAsync();

        WalImportProblem problem = Assert.Single(result.Refused);
        Assert.Equal("SmcWalDuplicate", problem.ErrorId);
        Assert.Contains(Path.Combine(Source, name.ToString()), problem.Reason, StringComparison.Ordinal);
        Assert.Contains($"wal/{sample.SystemId}/00000001/{name}", problem.Reason, StringComparison.Ordinal);
        Assert.Equal(content, await Archive.ReadAsync((await Archive.GetCoverageAsync(1, sample.StartLsn, null, default)).Items[^1], default));
    }

    [Fact]
    public async Task RunAsync_PartialSegmentAndHistory_TakesWhatIsValidOfThem_Trap32()
    {
        (WalSegmentName name, byte[] content) = sample.Segments[3];
        Lsn start = name.StartLsn(WalSample.SegmentSize);
        Lsn end = sample.Records.First(lsn => lsn >= start + (WalSample.SegmentSize / 2));
        // What a recycled file held before follows the last record, as PostgreSQL leaves it.
        byte[] partial = [.. sample.Segments[5].Content];
        content.AsSpan(0, (int)(end - start)).CopyTo(partial);
        for (int i = 0; i < 3; i++)
        {
            Write(sample.Segments[i].Name.ToString(), sample.Segments[i].Content);
        }

        partial.AsSpan((int)(end - start), 64).Clear();
        Write($"{name}.partial", partial);
        byte[] history = TimelineHistory.Format([new TimelineBranch(1, end, "no recovery target specified")]);
        Write("00000002.history", history);

        WalImportResult first = await ImportAsync();
        WalImportResult second = await ImportAsync();

        Assert.Equal((3L, 1L, 1L, 0L), (first.ImportedCount, first.PartialCount, first.HistoryCount, first.RefusedCount));
        Assert.Equal((0L, 0L, 0L, 5L), (second.ImportedCount, second.PartialCount, second.HistoryCount, second.PresentCount));
        WalCoverage coverage = await Archive.GetCoverageAsync(1, sample.StartLsn, 1, default);
        Assert.Equal(end, coverage.EndLsn);
        Assert.Equal(history, (await Archive.GetHistoryAsync(2, default))!.Content);

        // The whole segment takes its place; another history of the same timeline does not.
        File.Delete(Path.Combine(Source, $"{name}.partial"));
        Write(name.ToString(), content);
        Write("00000002.history", TimelineHistory.Format([new TimelineBranch(1, end, "somebody else")]));
        WalImportResult third = await ImportAsync();
        Assert.Equal(1, third.ImportedCount);
        Assert.Equal("SmcWalDuplicate", Assert.Single(third.Refused).ErrorId);
        Assert.Equal(["Segment"], await KindsAsync(name));
    }

    [Fact]
    public async Task RunAsync_PartialThatDisagreesWithTheArchive_IsRefused_Trap32()
    {
        WriteAll();
        await ImportAsync();
        (WalSegmentName name, byte[] content) = sample.Segments[2];
        byte[] other = [.. content];
        Lsn start = name.StartLsn(WalSample.SegmentSize);
        // Zeros in the padding of a page head are covered by no checksum.
        other[20] ^= 1;
        Assert.Contains(sample.Records, lsn => lsn >= start && lsn < name.EndLsn(WalSample.SegmentSize));
        Write($"{name}.partial", other);

        WalImportResult result = await ImportAsync();

        Assert.Equal("SmcWalDuplicate", Assert.Single(result.Refused).ErrorId);
    }

    [Fact]
    public async Task RunAsync_ClusterIsNotTheRepositorys_IsToldByWhatIsKnown()
    {
        WriteAll();
        Repository other = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory.Path, "other")), default);
        WalImportPlan plan = await WalImportPlan.CreateAsync(new WalImportOptions { Path = Source }, default);
        await new WalArchive(other, 42).PutHistoryAsync(2, TimelineHistory.Format([new TimelineBranch(1, new Lsn(1 << 20), "x")]), default);

        WalImportResult known = await WalImport.RunAsync(other, plan, NullObserver.Instance, default);
        await new WalArchive(other, 43).PutHistoryAsync(2, TimelineHistory.Format([new TimelineBranch(1, new Lsn(1 << 20), "x")]), default);
        SmcException unclear = await Assert.ThrowsAsync<SmcException>(() => WalImport.RunAsync(other, plan, NullObserver.Instance, default));
        WalImportPlan given = await WalImportPlan.CreateAsync(new WalImportOptions { Path = Source, SystemId = sample.SystemId }, default);
        WalImportResult told = await WalImport.RunAsync(other, given, NullObserver.Instance, default);

        Assert.Equal(("42", 0L, (long)sample.Segments.Count), (known.SystemId, known.ImportedCount, known.RefusedCount));
        Assert.Equal(SmcErrorCode.SystemIdMismatch, unclear.Code);
        Assert.Equal(sample.Segments.Count, told.ImportedCount);
    }

    [Fact]
    public async Task RunAsync_Cancelled_StopsAndIsContinued()
    {
        WriteAll();
        using CancellationTokenSource stop = new();
        WalImportPlan plan = await WalImportPlan.CreateAsync(new WalImportOptions { Path = Source, Parallelism = 1 }, default);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => WalImport.RunAsync(_repository, plan, new StopAt(3, stop), stop.Token));
        WalImportResult rest = await ImportAsync();

        Assert.InRange(rest.PresentCount, 3, sample.Segments.Count - 1);
        Assert.Equal(sample.Segments.Count, rest.PresentCount + rest.ImportedCount);
        Assert.Equal("Complete", rest.State);
    }

    [Fact]
    public async Task CreateAsync_NoWalThere_SaysSo()
    {
        Write("deep/000000010000000000000002", [1]);
        SmcException empty = await Assert.ThrowsAsync<SmcException>(() => WalImportPlan.CreateAsync(new WalImportOptions { Path = Source }, default));
        SmcException missing = await Assert.ThrowsAsync<SmcException>(
            () => WalImportPlan.CreateAsync(new WalImportOptions { Path = Source + "-not" }, default));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, empty.Code);
        Assert.Contains("recurse", empty.Recommendation, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(SmcErrorCode.ArgumentInvalid, missing.Code);
    }

    private static byte[] Gzip(byte[] content)
    {
        using MemoryStream result = new();
        using (GZipStream stream = new(result, CompressionLevel.Fastest))
        {
            stream.Write(content);
        }

        return result.ToArray();
    }

    private static byte[] Zstandard(byte[] content)
    {
        byte[] result = new byte[BlockCodecs.Bound(content.Length)];
        return result[..Zstd.Compress(content, result, 1)];
    }

    private async Task<string[]> KindsAsync(WalSegmentName name)
    {
        List<string> kinds = [];
        await foreach (WalSegmentInfo info in Archive.ListAsync(default))
        {
            if (info.Name == name.ToString())
            {
                kinds.Add(info.Kind);
            }
        }

        return [.. kinds];
    }

    private void WriteAll()
    {
        foreach ((WalSegmentName name, byte[] content) in sample.Segments)
        {
            Write(name.ToString(), content);
        }
    }

    private void Write(string name, byte[] content)
    {
        string path = Path.Combine(Source, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
    }

    private async Task<WalImportResult> ImportAsync(bool recurse = false)
    {
        WalImportPlan plan = await WalImportPlan.CreateAsync(new WalImportOptions { Path = Source, Recurse = recurse }, default);
        return await WalImport.RunAsync(_repository, plan, NullObserver.Instance, default);
    }

    private sealed class StopAt(long done, CancellationTokenSource stop) : IOperationObserver
    {
        public void Verbose(string message)
        {
        }

        public void Warning(string message)
        {
        }

        public void Progress(OperationProgress progress)
        {
            if (progress.Done >= done)
            {
                stop.Cancel();
            }
        }
    }
}
