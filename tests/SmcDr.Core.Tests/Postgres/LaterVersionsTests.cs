using System.Buffers.Binary;
using System.Text;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Preparation;
using SmcDr.Core.Postgres.Wal.Searching;

namespace SmcDr.Core.Tests.Postgres;

/// <summary>What PostgreSQL 16 to 18 do otherwise than 15, as far as it can be told without such a server: from bytes made by hand.</summary>
public sealed class LaterVersionsTests
{
    [Theory]
    [InlineData(15, "GRANT pg_read_all_settings TO \"a\"")]
    [InlineData(16, "GRANT pg_read_all_settings TO \"a\" WITH INHERIT TRUE")]
    [InlineData(18, "GRANT pg_read_all_settings TO \"a\" WITH INHERIT TRUE")]
    public void GrantMembership_Version_SaysThatRightsAreInherited(int major, string statement) =>
        Assert.Equal(statement, BackupPrivileges.GrantMembership("\"a\"", major));

    [Theory]
    [InlineData("0", true)]
    [InlineData("1h", false)]
    [InlineData("3600", false)]
    public void IdleSlotTimeout_AnythingButZero_CostsAStreamItsSlot(string value, bool isRight) =>
        Assert.Equal(isRight, SettingRule.IdleSlotTimeout.IsRight(value));

    [Theory]
    [InlineData(15, "only the library is used")]
    [InlineData(16, "archives nothing")]
    [InlineData(18, "archives nothing")]
    public void ArchivingState_CommandAndLibrary_IsAnErrorFrom16On_Trap30(int major, string told)
    {
        ArchivingState both = new(major, "on", "cp %p /mnt/%f", "basic_archive", null, null);

        Assert.Contains(told, both.Find()!.Value.Problem, StringComparison.Ordinal);
        Assert.Null((both with { Library = "" }).Find());
        Assert.Null((both with { Mode = "off" }).Find());
    }

    [Fact]
    public void BackupStop_LabelWithTheLinesOfAnIncrementalOne_IsReadByItsOwnStart()
    {
        // xlogbackup.c of 17, build_backup_content.
        const string Label =
            "START WAL LOCATION: 2/3000028 (file 000000050000000200000003)\nCHECKPOINT LOCATION: 2/3000080\nBACKUP METHOD: streamed\n" +
            "BACKUP FROM: primary\nSTART TIME: 2026-01-01 00:00:00 UTC\nLABEL: x\nSTART TIMELINE: 5\n" +
            "INCREMENTAL FROM LSN: 1/2000028\nINCREMENTAL FROM TLI: 4\n";
        BackupStop stop = new(Lsn.Parse("2/3000120"), Label, "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);

        Assert.Equal(5u, stop.Timeline);
        Assert.Equal(Lsn.Parse("2/3000028"), stop.StartLsn);
    }

    [Theory]
    [InlineData(15, 12)]
    [InlineData(16, 12)]
    [InlineData(17, 12)]
    [InlineData(18, 16)]
    public void TransactionEnd_DroppedStatistics_HaveALongerObjectFrom18On(int major, int itemLength)
    {
        const uint Database = 5, DroppedStatistics = 1 | 256, TwoPhase = 16;
        byte[] main = new byte[8 + 4 + 8 + 4 + (2 * itemLength) + 4];
        BinaryPrimitives.WriteUInt32LittleEndian(main.AsSpan(8), DroppedStatistics | TwoPhase);
        BinaryPrimitives.WriteUInt32LittleEndian(main.AsSpan(12), Database);
        BinaryPrimitives.WriteInt32LittleEndian(main.AsSpan(20), 2);
        for (int i = 0; i < 2; i++)
        {
            // xact.h, xl_xact_stats_item: kind, database, object.
            Span<byte> item = main.AsSpan(24 + (i * itemLength));
            BinaryPrimitives.WriteInt32LittleEndian(item, 2);
            BinaryPrimitives.WriteUInt32LittleEndian(item[4..], Database);
            BinaryPrimitives.WriteUInt32LittleEndian(item[8..], 16400 + (uint)i);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(main.AsSpan(main.Length - 4), 777);

        Assert.True(TransactionEnd.TryRead(main, 0x80, 1, isCommit: true, isPrepared: true, major, out TransactionEnd end));
        Assert.Equal(777u, end.Xid);
        Assert.Equal(Database, end.Database);
        Assert.Equal([16400u, 16401u], end.DroppedRelations().Order());
    }

    [Theory]
    [InlineData(15, 115)]
    [InlineData(16, 115)]
    [InlineData(17, 115)]
    [InlineData(18, 119)]
    public void CatalogRow_RelationKind_LiesBehindWhat18Added(int major, int kindOffset)
    {
        // heapam_xlog.h, xl_heap_header: two masks and the length of the tuple's head, of which 23 bytes are not in the record.
        byte[] data = new byte[5 + 1 + 140];
        data[4] = 24;
        Span<byte> row = data.AsSpan(6);
        BinaryPrimitives.WriteUInt32LittleEndian(row, 16385);
        Encoding.UTF8.GetBytes("orders", row[4..]);
        BinaryPrimitives.WriteUInt32LittleEndian(row[68..], 2200);
        BinaryPrimitives.WriteUInt32LittleEndian(row[88..], 16390);
        row[kindOffset] = (byte)'r';

        CatalogRow read = CatalogPages.ReadInserted(data, 9, major)!;

        Assert.Equal(new CatalogRow(16385, "orders", 2200, 16390, 'r', 9, true), read);
    }
}
