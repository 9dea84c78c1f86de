using System.Globalization;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>The rows that must be there; and those whose commit may lie before the position or behind it, of which there are a few.</summary>
internal sealed record ExpectedRows
{
    public HashSet<long> Must { get; } = [];

    public HashSet<long> May { get; } = [];

    public void AssertAre(IReadOnlyCollection<long> rows, string what)
    {
        long[] missing = [.. Must.Except(rows).Order()];
        long[] extra = [.. rows.Except(Must).Except(May).Order()];
        Assert.True(
            missing.Length == 0 && extra.Length == 0,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{what}: {rows.Count} rows, {missing.Length} missing ({string.Join(", ", missing.Take(10))}), {extra.Length} too many ({string.Join(", ", extra.Take(10))})"));
    }
}
