using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Repositories;

public sealed class ExtentTextTests
{
    private static readonly BlockReference[] s_blocks =
    [
        .. Enumerable.Range(0, 400).Select(static i => new BlockReference(
            new PackReference(Component.Database, "20261122T081500Z-full", 1, 1 << 30, default), i, 1, 1 << 20, BlockCodec.None, 0, default)),
    ];

    [Fact]
    public void Write_FileWithReplacedPages_LeavesOutWhatFollows()
    {
        FileExtent[] extents = [new(s_blocks[12], 0, 40960), new(s_blocks[30], 0, 8192), new(s_blocks[12], 49152, 999424)];
        int[][] written = new ExtentText().Write(extents, Number);
        Assert.Equal([[12, 40960], [30, 8192], [999424]], written);
        Assert.Equal(extents, new ExtentText().Read(written, s_blocks));
    }

    [Fact]
    public void Read_WhatWasWritten_IsTheSame()
    {
        Random random = new(20261123);
        ExtentText writer = new();
        ExtentText reader = new();
        for (int file = 0; file < 300; file++)
        {
            List<FileExtent> extents = [];
            for (int i = random.Next(20); i > 0; i--)
            {
                int start = random.Next(100) * 8192;
                extents.Add(random.Next(8) switch
                {
                    0 => FileExtent.Zeros(8192),
                    1 or 2 when extents.Count > 0 && extents[^1].Block is { } block && extents[^1].Start + extents[^1].Length + 8192 <= block.Length
                        => new FileExtent(block, extents[^1].Start + extents[^1].Length, 8192),
                    3 or 4 or 5 when extents.Count > 1 && extents[^2].Block is { } block &&
                        extents[^2].Start + extents[^2].Length + extents[^1].Length + 8192 <= block.Length
                        => new FileExtent(block, extents[^2].Start + extents[^2].Length + extents[^1].Length, 8192),
                    _ => new FileExtent(s_blocks[random.Next(s_blocks.Length)], start, 8192 * random.Next(1, 20)),
                });
            }

            Assert.Equal(extents, reader.Read(writer.Write(extents, Number), s_blocks));
        }
    }

    [Theory]
    [InlineData(new[] { 8192 }, null)]
    [InlineData(new[] { -1, 8192 }, new[] { 8192 })]
    [InlineData(new[] { 400, 8192 }, null)]
    [InlineData(new[] { -2, 8192 }, null)]
    [InlineData(new[] { 0, (1 << 20) + 1 }, null)]
    [InlineData(new[] { 0, 8192, 0 }, null)]
    [InlineData(new[] { 0, -1, 8192 }, null)]
    [InlineData(new[] { 0, int.MaxValue, int.MaxValue }, null)]
    [InlineData(new int[0], null)]
    [InlineData(new[] { 0, 0, 8192, 1 }, null)]
    [InlineData(new[] { 0, 1 << 20 }, new[] { 0, 1 })]
    public void Read_WhatLeadsOutOfABlock_IsRefused(int[] first, int[]? second)
    {
        int[][] lists = second is null ? [first] : second.Length == 1 ? [first, [0, 8192], second] : [first, second];
        Assert.Throws<FormatException>(() => new ExtentText().Read(lists, s_blocks));
    }

    private static int Number(BlockReference block) => Array.IndexOf(s_blocks, block);
}
