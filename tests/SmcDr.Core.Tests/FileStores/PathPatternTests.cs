using SmcDr.Core.FileStores;

namespace SmcDr.Core.Tests.FileStores;

public sealed class PathPatternTests
{
    [Theory]
    [InlineData("*.log", "a.log", true)]
    [InlineData("*.log", "x/y/a.log", true)]
    [InlineData("*.log", "x/a.log.gz", false)]
    [InlineData("/*.log", "x/a.log", false)]
    [InlineData("/a.log", "a.log", true)]
    [InlineData("x/*.log", "x/a.log", true)]
    [InlineData("x/*.log", "x/y/a.log", false)]
    [InlineData("x/**/a.log", "x/a.log", true)]
    [InlineData("x/**/a.log", "x/y/z/a.log", true)]
    [InlineData("x/**", "x/y/z", true)]
    [InlineData("**/z/*", "x/z/a", true)]
    [InlineData("**/z/*", "x/y/a", false)]
    [InlineData("a?c", "abc", true)]
    [InlineData("a?c", "aBc", true)]
    [InlineData("ABC", "abc", false)]
    [InlineData("x/", "y/x", true)]
    public void Matches_PatternAndPath_Decides(string pattern, string path, bool expected) =>
        Assert.Equal(expected, PathPattern.Parse(pattern).Matches(path));

    [Theory]
    [InlineData("conf", "srv/conf/a/b", true)]
    [InlineData("srv/conf", "srv/conf/a/b", true)]
    [InlineData("srv/conf", "srv/config", false)]
    [InlineData("*.d", "a.d/file", true)]
    public void MatchesOrContains_DirectoryThatMatches_StandsForWhatIsBelow(string pattern, string path, bool expected) =>
        Assert.Equal(expected, PathPattern.Parse(pattern).MatchesOrContains(path));

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("../x")]
    [InlineData("a//b")]
    [InlineData("a/./b")]
    public void Parse_NoPattern_IsRefused(string text) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => PathPattern.Parse(text)).Code);
}
