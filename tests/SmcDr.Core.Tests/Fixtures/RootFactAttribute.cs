using SmcDr.Core.Platform;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A test that mounts a file system or gives files to others, which only root may on Linux; skipped elsewhere.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute()
    {
        if (!OperatingSystem.IsLinux() || !Posix.IsRoot)
        {
            Skip = "Mounting a small file system to fill, and giving files to other accounts, needs root on Linux.";
        }
    }
}
