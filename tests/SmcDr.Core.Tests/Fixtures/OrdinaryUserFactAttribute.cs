using SmcDr.Core.Platform;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A test of permissions, which do not bind root.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OrdinaryUserFactAttribute : FactAttribute
{
    public OrdinaryUserFactAttribute()
    {
        if (OperatingSystem.IsWindows() || Posix.IsRoot)
        {
            Skip = "Permissions do not bind root: run the tests as another user to see this one.";
        }
    }
}
