using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class WalRecordScannerTests(WalSample sample) : IClassFixture<WalSample>
{
    private readonly List<Lsn> _records = [.. sample.Records];

    [Fact]
    public void Append_RealWal_FindsWhatPgWaldumpFinds()
    {
        Scan scan = Run(sample.StartLsn, sample.Bytes, [int.MaxValue]);

        Assert.True(sample.Segments.Count > 6);
        Assert.Equal(sample.Transactions, scan.Transactions.Select(static t => (t.Kind, t.Xid, t.Time, t.StartLsn)));
        Assert.Equal(4, sample.Transactions.Select(static t => t.Kind).Distinct().Count());
        Assert.Equal(sample.RestorePoints, scan.RestorePoints.Select(static p => (p.Name, p.Lsn, p.EndLsn)));
        Assert.Equal(sample.SystemId, scan.Scanner.SystemId);
        Assert.Equal(15, scan.Scanner.MajorVersion);
        Assert.False(scan.Scanner.IsInsideRecord);
    }

    [Fact]
    public void Append_AnyChunks_GivesTheSame()
    {
        Scan whole = Run(sample.StartLsn, sample.Bytes, [int.MaxValue]);
        Prop.ForAll<PositiveInt[]>(sizes =>
        {
            Scan other = Run(sample.StartLsn, sample.Bytes, [.. sizes.Select(static s => (s.Item * 3701 % 20011) + 1)]);
            return whole.Transactions.SequenceEqual(other.Transactions) && whole.RestorePoints.SequenceEqual(other.RestorePoints) &&
                whole.Scanner.LastRecordEnd == other.Scanner.LastRecordEnd && whole.Scanner.Position == other.Scanner.Position;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(25));
    }

    [Fact]
    public void Append_ByteByByte_GivesTheSame()
    {
        byte[] bytes = sample.Bytes[..(2 * WalSample.SegmentSize)];
        Scan whole = Run(sample.StartLsn, bytes, [int.MaxValue]);
        Scan single = Run(sample.StartLsn, bytes, [1]);
        Assert.Equal(whole.Transactions, single.Transactions);
        Assert.Equal(whole.Scanner.LastRecordEnd, single.Scanner.LastRecordEnd);
    }

    [Fact]
    public void LastRecordEnd_AtEveryRecord_IsItsEnd()
    {
        // Where a record begins, all before it are complete, and the last of them ends there but for the page head in between.
        foreach (Lsn record in sample.Records.Skip(1).Where((_, i) => i % 997 == 0))
        {
            Scan scan = Run(sample.StartLsn, sample.Bytes.AsSpan(0, (int)(record - sample.StartLsn)), [int.MaxValue]);
            Assert.False(scan.Scanner.IsInsideRecord);
            Assert.InRange(record - scan.Scanner.LastRecordEnd, 0, WalSample.SegmentSize);
            if (record.Value % 8192 > WalPageHeader.LongLength)
            {
                Assert.Equal(record, scan.Scanner.LastRecordEnd);
            }
        }
    }

    [Fact]
    public void Append_StartInTheMiddleOfARecord_SkipsItAndFindsTheRest()
    {
        int inside = 0;
        for (int i = 1; i < sample.Segments.Count; i++)
        {
            Lsn start = sample.Segments[i].Name.StartLsn(WalSample.SegmentSize);
            byte[] rest = sample.Bytes[(int)(start - sample.StartLsn)..];
            Scan scan = Run(start, rest, [8192, 100]);
            Assert.Equal(
                sample.Transactions.Where(t => t.Lsn >= start).Select(static t => t.Lsn), scan.Transactions.Select(static t => t.StartLsn));
            inside += WalPageHeader.Read(rest).Continues ? 1 : 0;
        }

        Assert.True(inside > 2, "The sample should have records that cross segments.");
    }

    [Fact]
    public void Append_FlippedBit_IsFoundInEveryRecordAndPageHead()
    {
        byte[] bytes = sample.Bytes;
        // Behind a switch record nothing is protected, and nothing is read.
        int used = (int)(sample.Records[^1] - sample.StartLsn);
        Random random = new(7);
        int found = 0, skipped = 0;
        for (int i = 0; i < 100; i++)
        {
            int at = random.Next(used);
            if (IsUnprotected(bytes, at))
            {
                skipped++;
                continue;
            }

            bytes[at] ^= (byte)(1 << random.Next(8));
            byte[] damaged = bytes;
            SmcException error = Assert.Throws<SmcException>(() => Run(sample.StartLsn, damaged, [int.MaxValue]));
            Assert.Equal(SmcErrorCode.WalInvalid, error.Code);
            found++;
            bytes = sample.Bytes;
        }

        Assert.True(found > 60, $"{found} found, {skipped} skipped");
    }

    [Fact]
    public void Append_RecycledSegment_IsRefused_Trap29()
    {
        // The content of another segment under this name: what a recycled file is before it is written.
        SmcException error = Assert.Throws<SmcException>(
            () => Run(sample.Segments[1].Name.StartLsn(WalSample.SegmentSize), sample.Segments[0].Content, [int.MaxValue]));
        Assert.Contains("used again", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Append_ForeignSystemIdSegmentSizeOrTimeline_IsRefused()
    {
        byte[] bytes = sample.Segments[0].Content;
        WalRecordScanner foreign = new(sample.StartLsn, 1, WalSample.SegmentSize, sample.SystemId + 1);
        Assert.Contains("database cluster", Assert.Throws<SmcException>(() => foreign.Append(bytes)).Message, StringComparison.Ordinal);

        Lsn start = new(0);
        byte[] moved = (byte[])bytes.Clone();
        BinaryPrimitives.WriteUInt64LittleEndian(moved.AsSpan(8), 0);
        WalRecordScanner size = new(start, 1, 16 << 20, null);
        Assert.Contains("segment size", Assert.Throws<SmcException>(() => size.Append(moved)).Message, StringComparison.Ordinal);

        byte[] later = (byte[])bytes.Clone();
        BinaryPrimitives.WriteUInt32LittleEndian(later.AsSpan(4), 2);
        Assert.Contains(
            "timeline 2", Assert.Throws<SmcException>(() => Run(sample.StartLsn, later, [int.MaxValue])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0xD110, 15)]
    [InlineData(0xD113, 16)]
    [InlineData(0xD116, 17)]
    [InlineData(0xD118, 18)]
    [InlineData(0xD10D, null)]
    [InlineData(0xD121, null)]
    public void WalPageHeader_Magic_TellsTheVersion_Trap29(int magic, int? version)
    {
        byte[] bytes = sample.Segments[0].Content[..WalPageHeader.LongLength];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)magic);
        WalPageHeader header = WalPageHeader.Read(bytes);
        Assert.Equal(version, header.MajorVersion);
        Assert.Equal(version is null, header.FindProblem(sample.StartLsn, 1, WalSample.SegmentSize, sample.SystemId) is not null);
    }

    /// <summary>Whether no check covers a byte: padding in heads and between records, flags without meaning here, what lies behind a switch.</summary>
    private bool IsUnprotected(byte[] bytes, int at)
    {
        int inPage = at % 8192;
        int page = at - inPage;
        WalPageHeader header = WalPageHeader.Read(bytes.AsSpan(page));
        if (header.Magic == 0)
        {
            return true;
        }

        if (inPage < header.Length)
        {
            // The lower bytes of the timeline may be smaller, XLP_BKP_REMOVABLE says nothing, and 20..23 are padding.
            return inPage is >= 2 and < 8 or >= 20 and < 24;
        }

        Lsn lsn = sample.StartLsn + (uint)at;
        int index = ~_records.BinarySearch(lsn) - 1;
        if (index < 0 || index + 1 >= sample.Records.Count)
        {
            return index != -2;
        }

        Lsn record = sample.Records[index];
        uint total = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan((int)(record - sample.StartLsn)));
        // The record's head is on this page or its end is not known by simple arithmetic: then only what surely belongs to it counts.
        return lsn >= record + total && record.Value / 8192 == lsn.Value / 8192 || lsn.Value / 8192 != record.Value / 8192;
    }

    private Scan Run(Lsn start, ReadOnlySpan<byte> bytes, int[] sizes)
    {
        List<WalTransaction> transactions = [];
        List<WalRestorePoint> points = [];
        WalRecordScanner scanner = new(start, 1, WalSample.SegmentSize, sample.SystemId)
        {
            OnTransaction = transactions.Add,
            OnRestorePoint = points.Add,
        };
        for (int i = 0; !bytes.IsEmpty; i++)
        {
            int size = Math.Min(bytes.Length, sizes.Length == 0 ? bytes.Length : sizes[i % sizes.Length]);
            scanner.Append(bytes[..size]);
            bytes = bytes[size..];
        }

        return new Scan(scanner, transactions, points);
    }

    private sealed record Scan(WalRecordScanner Scanner, List<WalTransaction> Transactions, List<WalRestorePoint> RestorePoints);
}
