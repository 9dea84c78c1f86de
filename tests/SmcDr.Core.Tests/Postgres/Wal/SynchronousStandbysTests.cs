using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class SynchronousStandbysTests
{
    [Theory]
    [InlineData("", "\"smcdr\"", "")]
    [InlineData("a", "FIRST 2 (\"smcdr\", \"a\")", "\"a\"")]
    [InlineData(" \"A b\"\"c\" ", "FIRST 2 (\"smcdr\", \"A b\"\"c\")", "\"A b\"\"c\"")]
    [InlineData("FIRST 2 (a, b)", "FIRST 3 (\"smcdr\", \"a\", \"b\")", "FIRST 2 (\"a\", \"b\")")]
    [InlineData("2(a,b)", "FIRST 3 (\"smcdr\", \"a\", \"b\")", "FIRST 2 (\"a\", \"b\")")]
    [InlineData("any 2 (a, b)", "FIRST 3 (\"smcdr\", \"a\", \"b\")", "FIRST 2 (\"a\", \"b\")")]
    [InlineData("anyone", "FIRST 2 (\"smcdr\", \"anyone\")", "\"anyone\"")]
    [InlineData("SMCDR", "\"SMCDR\"", "")]
    public void With_EveryStandbyIsWaitedFor_AddsItAndWithoutTakesItOut(string setting, string with, string without)
    {
        SynchronousStandbys added = SynchronousStandbys.Parse(setting).With("smcdr");
        Assert.Equal(with, added.ToString());
        Assert.True(added.Contains("smcdr"));
        Assert.Equal(with, SynchronousStandbys.Parse(with).ToString());
        Assert.Equal(without, added.Without("smcdr").ToString());
    }

    [Theory]
    [InlineData("a, b")]
    [InlineData("*")]
    [InlineData("ANY 1 (a, b)")]
    [InlineData("FIRST 1 (smcdr, a)")]
    [InlineData("ANY 2 (a, *)")]
    [InlineData("a,")]
    [InlineData("FIRST (a)")]
    [InlineData("a b")]
    public void With_StandbysHaveAChoice_IsRefused(string setting)
    {
        SmcException error = Assert.Throws<SmcException>(() => SynchronousStandbys.Parse(setting).With("smcdr"));
        Assert.Equal(SmcErrorCode.SettingUnsuitable, error.Code);
    }
}
