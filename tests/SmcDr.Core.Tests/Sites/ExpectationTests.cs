using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Sites;

/// <summary>Comparisons of the site file.</summary>
public sealed class ExpectationTests
{
    [Theory]
    [InlineData("> 0", 1L, true)]
    [InlineData("> 0", 0L, false)]
    [InlineData(">= 10", 9.5, false)]
    [InlineData("<=10", 10, true)]
    [InlineData("< 9", "10", false)]
    [InlineData("= 1.0", "1", true)]
    [InlineData("= ready", "ready", true)]
    [InlineData("= ready", "Ready", false)]
    [InlineData("<> ready", "down", true)]
    [InlineData("!= ready", "ready", false)]
    [InlineData("= t", true, true)]
    [InlineData("= 1,000", 1000, false)]
    [InlineData("<> x", null, false)]
    [InlineData("< 2", 1e16, false)]
    [InlineData("> 2", 1e16, true)]
    [InlineData("< 1", 1e-7, true)]
    [InlineData("> 1", 1e-7, false)]
    [InlineData("< 2", 1e40, false)]
    [InlineData("> 0", "1.5e3", true)]
    [InlineData("> 0", double.NaN, false)]
    [InlineData("< 5", double.NaN, false)]
    [InlineData("<> NaN", double.NaN, false)]
    [InlineData("< 5", double.PositiveInfinity, false)]
    [InlineData("> 5", double.NegativeInfinity, false)]
    [InlineData("> 5", float.NaN, false)]
    public void IsMetBy_Value_ComparesNumbersAsNumbersAndNullNever(string text, object? value, bool expected) =>
        Assert.Equal(expected, Expectation.Parse(text).IsMetBy(value));
}
