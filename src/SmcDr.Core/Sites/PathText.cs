namespace SmcDr.Core.Sites;

/// <summary>Paths as the site file has them.</summary>
internal static class PathText
{
    /// <summary>The full path: <c>~</c> is the home directory, and what is relative lies below <paramref name="directory"/>.</summary>
    public static string Resolve(string path, string? directory = null)
    {
        string expanded = path is "~" || path.StartsWith("~/", StringComparison.Ordinal)
            ? Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) + path[1..]
            : path;
        return Path.GetFullPath(expanded, directory ?? Environment.CurrentDirectory);
    }

    /// <summary>Whether a full path is a directory or lies below it.</summary>
    public static bool IsWithin(string path, string directory) =>
        Path.TrimEndingDirectorySeparator(path) is var inner && Path.TrimEndingDirectorySeparator(directory) is var outer &&
        (inner == outer || inner.StartsWith(Path.EndsInDirectorySeparator(outer) ? outer : outer + Path.DirectorySeparatorChar, StringComparison.Ordinal));
}
