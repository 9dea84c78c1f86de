using System.Buffers.Binary;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>Reads of a page that the server writes at the same time, which no real server does at a wanted moment.</summary>
public sealed class PageVerifierTests
{
    private const int PageSize = 8192;
    private const string File = "base/5/16384";
    private static readonly Lsn s_start = new(0x2000000);
    private static readonly Lsn s_end = new(0x3000000);
    private readonly RecordingObserver _observer = new();

    [Fact]
    public async Task VerifyAsync_TornPage_IsReadAgainAndTheWholePageTaken_Trap7()
    {
        byte[] before = Page(0x1000000, 7, fill: 1);
        byte[] after = Page(0x1000100, 7, fill: 2);
        byte[] torn = [.. before[..4096], .. after[4096..]];
        Source source = new(torn, torn, after);
        byte[] content = [.. new byte[7 * PageSize], .. torn];
        PageVerifier verifier = Verifier();

        await verifier.VerifyAsync(source, File, 0, 0, content, CancellationToken.None);

        Assert.Equal(0, verifier.Count);
        Assert.Equal(after, content[(7 * PageSize)..]);
        Assert.Equal(3, source.Reads);
    }

    [Fact]
    public async Task VerifyAsync_PageOfAfterTheStart_IsLeftToTheWal_Trap7()
    {
        byte[] torn = Page(0x2500000, 0, fill: 1);
        torn[5000] ^= 1;
        PageVerifier verifier = Verifier();
        Source source = new(torn);

        await verifier.VerifyAsync(source, File, 0, 0, torn, CancellationToken.None);

        Assert.Equal(0, verifier.Count);
        Assert.Equal(0, source.Reads);
    }

    [Theory]
    [InlineData(0x1000000UL)]
    [InlineData(0x4000000UL)]
    public async Task VerifyAsync_DamagedPage_IsNamed(ulong lsn)
    {
        byte[] damaged = Page(lsn, 131072 + 3, fill: 1);
        damaged[5000] ^= 1;
        PageVerifier verifier = Verifier();

        await verifier.VerifyAsync(new Source(damaged), File + ".1", 1, 3 * PageSize, damaged, CancellationToken.None);

        Assert.Equal([File + ".1 block 3"], verifier.Damaged);
        Assert.Contains("block 3", Assert.Single(_observer.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task VerifyAsync_ZeroPagesPartialPagesAndTruncatedPages_AreSound_Trap7()
    {
        byte[] damaged = Page(0x1000000, 1, fill: 1);
        damaged[5000] ^= 1;
        byte[] content = [.. new byte[PageSize], .. damaged, .. new byte[100]];
        content[^1] = 9;
        PageVerifier verifier = Verifier();

        await verifier.VerifyAsync(new Source(new byte[10]), File, 0, 0, content, CancellationToken.None);

        Assert.Equal(0, verifier.Count);
    }

    [Fact]
    public async Task VerifyAsync_PageThatOnlyLooksNew_IsDamaged()
    {
        byte[] page = new byte[PageSize];
        page[4000] = 1;
        PageVerifier verifier = Verifier();

        await verifier.VerifyAsync(new Source(page), File, 0, 0, page, CancellationToken.None);

        Assert.Equal(1, verifier.Count);
    }

    [Fact]
    public async Task VerifyAsync_MoreDamageThanIsNamed_IsCounted()
    {
        byte[] page = Page(0x1000000, 0, fill: 1);
        page[5000] ^= 1;
        byte[] content = [.. Enumerable.Repeat(page, 1010).SelectMany(static bytes => bytes)];
        PageVerifier verifier = Verifier();

        await verifier.VerifyAsync(new Source(page), File, 0, 0, content, CancellationToken.None);

        Assert.Equal(1010, verifier.Count);
        Assert.Equal(1000, verifier.Damaged.Count);
    }

    private PageVerifier Verifier() => new(s_start, PageSize, 131072, _observer) { FirstDelay = TimeSpan.Zero };

    private static byte[] Page(ulong lsn, uint block, byte fill)
    {
        byte[] page = new byte[PageSize];
        page.AsSpan(24).Fill(fill);
        BinaryPrimitives.WriteUInt32LittleEndian(page, (uint)(lsn >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(4), (uint)lsn);
        BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(14), 8192);
        BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(8), PageChecksum.Compute(page, block));
        return page;
    }

    /// <summary>Gives one reading after the other, and the last one again and again.</summary>
    private sealed class Source(params byte[][] readings) : IFileSource
    {
        public int Reads { get; private set; }

        public ValueTask<int?> ReadAsync(string path, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            byte[] reading = readings[Math.Min(Reads++, readings.Length - 1)];
            reading.CopyTo(buffer);
            return ValueTask.FromResult<int?>(reading.Length);
        }

        public ValueTask<Lsn> GetWalEndAsync(CancellationToken cancellationToken) => ValueTask.FromResult(s_end);
    }
}
