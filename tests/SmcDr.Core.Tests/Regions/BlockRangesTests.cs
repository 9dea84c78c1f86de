using FsCheck;
using FsCheck.Fluent;
using SmcDr.Core.Postgres.Wal.Searching;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Blocks in few ranges.</summary>
public sealed class BlockRangesTests
{
    [Fact]
    public void Add_BlocksCloseTogether_AreOneRange()
    {
        BlockRanges ranges = new();
        foreach (uint block in new uint[] { 100, 101, 99, 5, 109, 1000, 7, 100 })
        {
            ranges.Add(block);
        }

        Assert.Equal([(5u, 7u), (99u, 109u), (1000u, 1000u)], ranges.Ranges);
    }

    [Fact]
    public void AddAll_IsAllAndStaysSo()
    {
        BlockRanges ranges = new();
        ranges.Add(5);
        ranges.AddAll();
        ranges.Add(7);
        ranges.Add(uint.MaxValue);

        Assert.Equal([(0u, uint.MaxValue)], ranges.Ranges);
    }

    [Fact]
    public void Add_WhateverBlocks_AllAreInFewRangesThatAreInOrder() => Prop.ForAll<uint[], uint[]>(static (blocks, others) =>
    {
        BlockRanges ranges = new();
        BlockRanges more = new();
        Array.ForEach(blocks, ranges.Add);
        Array.ForEach(others, more.Add);
        ranges.Add(more);

        AssertSound(ranges, [.. blocks, .. others]);
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Add_ManyBlocksFarApart_StayFewRanges(int seed)
    {
        Random random = new(seed);
        uint[] blocks = [.. Enumerable.Range(0, 20_000).Select(_ => (uint)random.NextInt64(uint.MaxValue + 1L))];
        BlockRanges ranges = new();
        Array.ForEach(blocks, ranges.Add);

        AssertSound(ranges, blocks);
    }

    private static void AssertSound(BlockRanges ranges, uint[] blocks)
    {
        Assert.InRange(ranges.Ranges.Count, blocks.Length > 0 ? 1 : 0, BlockRanges.Most);
        Assert.All(blocks, block => Assert.Contains(ranges.Ranges, range => range.First <= block && block <= range.Last));
        for (int i = 1; i < ranges.Ranges.Count; i++)
        {
            Assert.True(ranges.Ranges[i - 1].Last < ranges.Ranges[i].First);
        }

        // No block is in it that is not between two that were added.
        Assert.True(ranges.Ranges.Count == 0 || (ranges.Ranges[0].First == blocks.Min() && ranges.Ranges[^1].Last == blocks.Max()));
    }
}
