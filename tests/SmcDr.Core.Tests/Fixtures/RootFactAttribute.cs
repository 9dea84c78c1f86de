using SmcDr.Core.Platform;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A test that mounts a file system of its own, which only root may on Linux; skipped elsewhere.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute()
    {
        if (!OperatingSystem.IsLinux() || !Posix.IsRoot)
        {
            Skip = "Mounting a small file system to fill needs root on Linux.";
        }
    }
}
