namespace SmcDr.Core.Platform;

/// <summary>Paths of directories as people write them.</summary>
internal static class DirectoryPath
{
    /// <summary>Whether two paths are written for the same directory: relative or not, with a separator at the end or without. Links are not followed.</summary>
    public static bool IsSame(string one, string other) => Normalize(one) == Normalize(other);

    private static string Normalize(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
}
