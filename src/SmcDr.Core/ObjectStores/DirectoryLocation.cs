namespace SmcDr.Core.ObjectStores;

/// <summary>A repository in a directory.</summary>
public sealed record DirectoryLocation : ObjectStoreLocation
{
    internal const string Scheme = "file://";

    private DirectoryLocation(string path) => Path = path;

    /// <summary>The full path, without a separator at its end.</summary>
    public string Path { get; }

    /// <inheritdoc/>
    public override string ToString() => new Uri(Path).AbsoluteUri;

    internal static DirectoryLocation ParseUri(string location)
    {
        if (location.AsSpan(Scheme.Length).ContainsAny('?', '#'))
        {
            throw Invalid(location, "a directory takes no options; write '?' and '#' in a path as %3F and %23");
        }

        if (!Uri.TryCreate(location, UriKind.Absolute, out Uri? uri) || uri.UserInfo.Length > 0)
        {
            throw Invalid(location, "it is no file URI");
        }

        return uri.Host is "" or "localhost"
            ? ParsePath(Uri.UnescapeDataString(uri.AbsolutePath), location)
            : throw Invalid(
                location,
                $"it names the host '{uri.Host}'",
                "Write a path of this machine with three slashes, as file:///var/backups; mount what another machine keeps.");
    }

    internal static DirectoryLocation ParsePath(string path) => ParsePath(path, path);

    private static DirectoryLocation ParsePath(string path, string location)
    {
        if (path.Length == 0)
        {
            throw Invalid(location, "it is empty");
        }

        if (path.Contains('\0', StringComparison.Ordinal))
        {
            throw Invalid(location.Replace("\0", "%00", StringComparison.Ordinal), "a path holds no NUL");
        }

        // file:///C:/backups has the absolute path /C:/backups.
        if (OperatingSystem.IsWindows() && path.Length > 2 && path[0] == '/' && path[2] == ':')
        {
            path = path[1..];
        }

        if (!System.IO.Path.IsPathFullyQualified(path))
        {
            throw Invalid(location, "its path does not start at the root, so it would depend on where SmcDr is started");
        }

        string full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        return full == System.IO.Path.GetPathRoot(full)
            ? throw Invalid(location, "it is the root of a file system; name a directory in it")
            : new DirectoryLocation(full);
    }
}
