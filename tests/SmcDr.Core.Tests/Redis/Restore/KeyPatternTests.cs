using System.Text;
using SmcDr.Core.Redis.Restore;

namespace SmcDr.Core.Tests.Redis.Restore;

public sealed class KeyPatternTests
{
    [Theory]
    [InlineData("user:*", "user:", true)]
    [InlineData("user:*", "users", false)]
    [InlineData("h?llo", "hello", true)]
    [InlineData("h?llo", "hllo", false)]
    [InlineData("h[ae]llo", "hallo", true)]
    [InlineData("h[ae]llo", "hillo", false)]
    [InlineData("h[^e]llo", "hello", false)]
    [InlineData("h[c-a]llo", "hbllo", true)]
    [InlineData("h\\*llo", "h*llo", true)]
    [InlineData("h\\*llo", "hello", false)]
    [InlineData("[\\]]", "]", true)]
    [InlineData("[abc", "b", true)]
    [InlineData("*a*b*c", "xxaxxbxxcxxc", true)]
    [InlineData("*a*b*c", "xxaxxbxx", false)]
    [InlineData("", "", true)]
    [InlineData("", "x", false)]
    public void IsMatch_Examples_AreAsDocumented(string pattern, string key, bool expected) =>
        Assert.Equal(expected, new KeyPattern(pattern).IsMatch(Encoding.UTF8.GetBytes(key)));

    [Fact]
    public void IsMatch_ManyStars_DoesNotTakeForever() => Assert.False(
        new KeyPattern(string.Concat(Enumerable.Repeat("*a", 200))).IsMatch(Encoding.ASCII.GetBytes(new string('a', 100_000) + "b")));

    [Fact]
    public async Task IsMatch_RandomPatterns_MatchWhatTheServerMatches()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        Random random = new(11);
        string Word(string letters, int length) => string.Concat(Enumerable.Range(0, random.Next(1, length)).Select(_ => letters[random.Next(letters.Length)]));
        string[] keys = [.. Enumerable.Range(0, 300).Select(_ => Word("abc-]^*\\", 7)).Distinct()];
        await server.ExecuteManyAsync([.. keys.Select(static key => new object[] { "SET", key, "x" })]);
        string[] patterns = [.. Enumerable.Range(0, 1500).Select(_ => Word("aabbc*?[]^-\\", 9))];
        object?[] replies = await server.ExecuteManyAsync([.. patterns.Select(static pattern => new object[] { "KEYS", pattern })]);
        foreach ((string pattern, object? reply) in patterns.Zip(replies))
        {
            KeyPattern tested = new(pattern);
            Assert.Equal(
                ((object?[])reply!).Select(static key => Encoding.UTF8.GetString((byte[])key!)).Order(StringComparer.Ordinal).Prepend(pattern),
                keys.Where(key => tested.IsMatch(Encoding.UTF8.GetBytes(key))).Order(StringComparer.Ordinal).Prepend(pattern));
        }
    }
}
