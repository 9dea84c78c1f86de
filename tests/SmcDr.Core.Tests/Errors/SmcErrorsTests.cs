using SmcDr.Cli;

namespace SmcDr.Core.Tests.Errors;

public sealed class SmcErrorsTests
{
    [Fact]
    public void All_EveryCode_HasItsOwnErrorIdAndExitCode()
    {
        Assert.Equal(Enum.GetValues<SmcErrorCode>(), SmcErrors.All.Select(static info => info.Code));
        Assert.Equal(SmcErrors.All.Count, SmcErrors.All.Select(static info => info.ErrorId).Distinct(StringComparer.Ordinal).Count());
        int[] exitCodes = [.. SmcErrors.All.Select(static info => info.ExitCode), ExitCodes.Success, ExitCodes.Partial];
        Assert.Empty(exitCodes.GroupBy(static code => code).Where(static group => group.Count() > 1).Select(static group => group.Key));

        // From 126 on they mean something to shells: not found, not executable, ended by a signal.
        Assert.All(exitCodes, static code => Assert.InRange(code, 0, 125));
    }
}
