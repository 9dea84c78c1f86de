namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A test that needs moto and is reported as skipped where moto is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MotoFactAttribute : FactAttribute
{
    public MotoFactAttribute() => Skip = MotoInstallation.SkipReason;
}
