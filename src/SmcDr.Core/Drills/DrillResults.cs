namespace SmcDr.Core.Drills;

/// <summary>What a drill's result amounts to.</summary>
public static class DrillResults
{
    /// <summary>The failure of a drill that did not keep what was promised; null of one that did.</summary>
    public static SmcException? GetFailure(this DrillResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        if (result.Succeeded)
        {
            return null;
        }

        DrillStep? failed = result.Steps.FirstOrDefault(static step => step.Outcome == "Failed");
        return new SmcException(
            SmcErrorCode.DrillFailed,
            failed is null ? "The drill did not keep its objectives." : $"The drill failed at '{failed.Name}': {failed.Detail}",
            target: failed?.Name);
    }
}
