using SmcDr.Core.Certification;

namespace SmcDr.Core.Tests.Certification;

public sealed class TableRowsTests
{
    [Theory]
    // No commit after an older backup: nobody writes at night, or nothing was replayed.
    [InlineData("0/3000100", null, true)]
    [InlineData("0/5000100", null, false)]
    [InlineData("0/3000100", 1, true)]
    [InlineData("0/5000100", 3, false)]
    [InlineData("0/6000100", 3, false)]
    [InlineData(null, 1, true)]
    [InlineData(null, 3, false)]
    public void IsOlder_GoesByThePosition_AndByTheTimeWhereThatIsUnknown(string? lsn, int? hour, bool expected)
    {
        DateTimeOffset day = new(2026, 11, 29, 0, 0, 0, TimeSpan.Zero);
        RecoveryTestResult last = new()
        {
            TestId = "20261129T101500Z-3f9a61c2",
            Site = "orders",
            Component = "Database",
            Outcome = "Passed",
            TargetKind = "Latest",
            StartTime = day,
            Duration = TimeSpan.FromSeconds(3),
            RecoveredTime = day.AddHours(2),
            RecoveredLsn = "0/5000100",
            Checks = [],
            Repository = "/srv/backups",
            By = "ada@ops-1",
        };

        Assert.Equal(expected, TableRows.IsOlder(lsn, hour is { } hours ? day.AddHours(hours) : null, last));
    }
}
