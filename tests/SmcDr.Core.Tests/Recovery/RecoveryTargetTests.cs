using SmcDr.Core.Recovery;

namespace SmcDr.Core.Tests.Recovery;

public sealed class RecoveryTargetTests
{
    [Fact]
    public void Value_Time_HasMicrosecondsAndANumericOffset_Trap19()
    {
        RecoveryTarget target = RecoveryTarget.AtTime(new DateTimeOffset(2026, 11, 5, 11, 0, 0, TimeSpan.FromHours(1)).AddTicks(1234567));

        Assert.Equal("2026-11-05 10:00:00.123456+00:00", target.Value);
    }

    [Fact]
    public void AtXid_SpecialTransaction_IsRefused() =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(static () => RecoveryTarget.AtXid(2)).Code);

    [Theory]
    [InlineData("")]
    [InlineData("a\nb")]
    [InlineData("ääääääääääääääääääääääääääääääääx")]
    public void AtName_WhatPostgresqlWouldNotTake_IsRefused(string name) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => RecoveryTarget.AtName(name)).Code);

    [Fact]
    public void Identity_DiffersByEverythingThatChangesTheResult()
    {
        RecoveryTarget target = RecoveryTarget.AtXid(700);

        Assert.Equal(4, new HashSet<string>
        {
            target.Identity, (target with { Inclusive = false }).Identity, (target with { Timeline = 2 }).Identity, RecoveryTarget.AtXid(701).Identity,
        }.Count);
    }
}
