namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A theory that needs moto; see <see cref="MotoFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MotoTheoryAttribute : TheoryAttribute
{
    public MotoTheoryAttribute() => Skip = MotoInstallation.SkipReason;
}
