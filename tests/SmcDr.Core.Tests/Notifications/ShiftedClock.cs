namespace SmcDr.Core.Tests.Notifications;

/// <summary>The system's clock, some time later.</summary>
internal sealed class ShiftedClock : TimeProvider
{
    public TimeSpan Shift { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Shift;
}
