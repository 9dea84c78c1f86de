namespace SmcDr.Core.Redis.Offline;

/// <summary>Which files a server loads when it starts, and so which ones a restore must put there.</summary>
internal sealed record OfflineLayout
{
    /// <summary>Since this version the append-only file is a directory of files, with a manifest.</summary>
    private const int FirstMajorWithDirectory = 7;

    /// <summary>The server's <c>dir</c>.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Its <c>dbfilename</c>.</summary>
    public required string FileName { get; init; }

    /// <summary>Its <c>appendfilename</c>.</summary>
    public required string AppendFileName { get; init; }

    /// <summary>Its <c>appenddirname</c>.</summary>
    public required string AppendDirectoryName { get; init; }

    /// <summary>Whether it starts with its append-only file, and then looks at nothing else.</summary>
    public required bool IsAppendOnly { get; init; }

    /// <summary>The major version of the program that starts.</summary>
    public required int Major { get; init; }

    /// <summary>Whether what is put there is a directory.</summary>
    public bool IsDirectory => IsAppendOnly && Major >= FirstMajorWithDirectory;

    /// <summary>The name of what is put there.</summary>
    public string PlacedName => IsDirectory ? AppendDirectoryName : IsAppendOnly ? AppendFileName : FileName;

    /// <summary>
    /// Everything that could be loaded, and goes aside: also what the server does not look at as it is set now, because it would after the next change
    /// of its settings, years old.
    /// </summary>
    public IReadOnlyList<string> Names => [FileName, AppendFileName, AppendDirectoryName];

    /// <summary>In the directory of append-only files: the RDB that they begin with (aof.c, getNewBaseFileNameAndMarkPreAsHistory).</summary>
    public string BaseFileName => AppendFileName + ".1.base.rdb";

    /// <summary>In that directory: the file to which the server appends.</summary>
    public string IncrementFileName => AppendFileName + ".1.incr.aof";

    /// <summary>In that directory: the file that names the others.</summary>
    public string ManifestFileName => AppendFileName + ".manifest";

    /// <summary>What that file says (aof.c, aofManifest).</summary>
    public string Manifest =>
        $"file {Quote(BaseFileName)} seq 1 type b\nfile {Quote(IncrementFileName)} seq 1 type i\n";

    /// <summary>A name as the server writes it where it is no plain word (sds.c, sdscatrepr).</summary>
    private static string Quote(string name) => name.AsSpan().IndexOfAny(" \t'\"\\") < 0
        ? name
        : $"\"{name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
