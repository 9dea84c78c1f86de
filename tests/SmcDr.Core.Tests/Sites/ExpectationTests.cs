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
    public void IsMetBy_Value_ComparesNumbersAsNumbersAndNullNever(string text, object? value, bool expected) =>
        Assert.Equal(expected, Expectation.Parse(text).IsMetBy(value));
}
