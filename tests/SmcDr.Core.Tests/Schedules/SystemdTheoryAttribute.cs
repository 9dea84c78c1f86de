namespace SmcDr.Core.Tests.Schedules;

/// <summary>A theory that asks systemd's own program, and is skipped, saying so, where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SystemdTheoryAttribute : TheoryAttribute
{
    public const string Program = "/usr/bin/systemd-analyze";

    public SystemdTheoryAttribute()
    {
        if (!File.Exists(Program))
        {
            Skip = $"There is no {Program} here.";
        }
    }
}
