using SmcDr.Core.Recovery;

namespace SmcDr.Core.Tests.Recovery;

public sealed class ReplayMemoryTests
{
    [Theory]
    [InlineData("16384", 16L << 30, "1024MB")] // PostgreSQL's default of 128 MB
    [InlineData("16384", 2L << 30, "512MB")]
    [InlineData(null, 16L << 30, "1024MB")]
    public void TryGetSharedBuffers_SmallSettingAndMemoryToSpare_GivesAQuarterUpToOneGigabyte(string? own, long available, string expected)
    {
        Assert.True(ReplayMemory.TryGetSharedBuffers(own, available, out string value));
        Assert.Equal(expected, value);
    }

    [Theory]
    [InlineData("131072", 16L << 30)] // 1 GB already
    [InlineData("1048576", 64L << 30)]
    [InlineData("16384", 768L << 20)]
    [InlineData(null, 256L << 20)]
    [InlineData("128MB", 16L << 30)]
    public void TryGetSharedBuffers_OwnSettingAsGoodOrNotUnderstood_LeavesIt(string? own, long available) =>
        Assert.False(ReplayMemory.TryGetSharedBuffers(own, available, out _));
}
