using System.Buffers.Binary;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>When a page's head proves that it is the parent's page, and above all when it does not.</summary>
public sealed class HeadTrustTests
{
    private const int PageSize = 8192;
    private const uint FirstBlock = 131072;
    private const int Number = 5;
    private static readonly HeadTrust s_trust = new(new Lsn(0x5000028), new Lsn(0x1000000), PageSize, FirstBlock);

    [Fact]
    public void IsSame_UnchangedPage_True()
    {
        byte[] page = Page(0x4000000);
        Assert.True(s_trust.IsSame(Head(page), page, Number));
    }

    [Theory]
    [InlineData(0x5000028UL)]
    [InlineData(0x6000000UL)]
    public void IsSame_PageThatMayHaveBeenTornInTheParent_False(ulong lsn)
    {
        byte[] page = Page(lsn);
        Assert.False(s_trust.IsSame(Head(page), page, Number));
    }

    [Fact]
    public void IsSame_RottenContentBelowTheSameHead_False()
    {
        byte[] page = Page(0x4000000);
        byte[] head = Head(page);
        page[5000] ^= 1;
        Assert.False(s_trust.IsSame(head, page, Number));
    }

    [Fact]
    public void IsSame_OldPageOfAnotherFileInItsPlace_False()
    {
        byte[] known = Page(0x4000000, fill: 1);
        byte[] page = Page(0x4000000, fill: 2);
        Assert.False(s_trust.IsSame(Head(known), page, Number));
    }

    [Fact]
    public void IsSame_PageOfAnotherPlace_False()
    {
        byte[] page = Page(0x4000000);
        Assert.False(s_trust.IsSame(Head(page), page, Number + 1));
    }

    [Fact]
    public void IsSame_LsnOfAnIndexBuild_False()
    {
        byte[] page = Page(1);
        Assert.False(s_trust.IsSame(Head(page), page, Number));
    }

    [Fact]
    public void IsSame_PageThatWasNeverUsed_False()
    {
        byte[] page = new byte[PageSize];
        Assert.False(s_trust.IsSame(Head(page), page, Number));
    }

    [Fact]
    public void IsSame_LastPageThatIsNone_False()
    {
        byte[] page = Page(0x4000000);
        Assert.False(s_trust.IsSame(Head(page), page.AsSpan(0, 4096), Number));
    }

    [Theory]
    [InlineData("base/5/16384", 0)]
    [InlineData("base/5/16384.3", 3)]
    [InlineData("global/1262", 0)]
    [InlineData("pg_tblspc/16390/PG_15_202209061/5/16384", 0)]
    [InlineData("pg_tblspc/16390/PG_15_202209061/5/16384_vm", null)]
    [InlineData("base/5/16384_fsm", null)]
    [InlineData("base/5/16384_vm.1", null)]
    [InlineData("base/5/16384_init", null)]
    [InlineData("pg_xact/0000", null)]
    public void IsMainFork_MapsThatChangeWithoutAnLsn_AreNone(string path, int? expected) =>
        Assert.Equal(expected, BackupFileRules.IsMainFork(path, out uint segment) ? (int)segment : null);

    private static byte[] Head(byte[] page) => page[..PageHashes.HeadSize];

    private static byte[] Page(ulong lsn, byte fill = 7)
    {
        byte[] page = new byte[PageSize];
        page.AsSpan(24).Fill(fill);
        BinaryPrimitives.WriteUInt32LittleEndian(page, (uint)(lsn >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(4), (uint)lsn);
        BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(14), 8192);
        BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(8), PageChecksum.Compute(page, FirstBlock + Number));
        return page;
    }
}
