namespace SmcDr.Core.Recovery;

/// <summary>The libraries that a server loads at its start, of which this host may not have all.</summary>
internal static class PreloadLibraries
{
    private static readonly string[] s_places = ["lib", "lib/postgresql", "lib64/postgresql", "lib64", "lib/pgsql", "lib64/pgsql"];

    /// <summary>Finds out what of a restored cluster's <c>shared_preload_libraries</c> is there. Null where nothing must be changed.</summary>
    public static async Task<(string Value, IReadOnlyList<string> Missing)?> FindAsync(HostServer server, CancellationToken cancellationToken)
    {
        ProgramResult answer = await server.RunAsync(
            "postgres",
            ["-C", "shared_preload_libraries", "-D", server.DataDirectory, "-c", "data_directory=" + server.DataDirectory],
            cancellationToken).ConfigureAwait(false);
        string[] names = answer.ExitCode == 0
            ? answer.Output.Split([',', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            : [];
        string? directory = names.Length == 0 ? null : LibraryDirectory(server.Programs);
        if (directory is null)
        {
            return null;
        }

        List<string> missing = [.. names.Where(name => !Exists(directory, name.Trim('"')))];
        return missing.Count == 0 ? null : (string.Join(',', names.Except(missing)), missing);
    }

    private static bool Exists(string directory, string name)
    {
        string path = Path.Combine(directory, name.Replace("$libdir/", "", StringComparison.Ordinal));
        return File.Exists(path) || File.Exists(path + ".so") || File.Exists(path + ".dylib") || File.Exists(path + ".dll");
    }

    /// <summary>PostgreSQL's library directory, known by a library that every server has.</summary>
    private static string? LibraryDirectory(PostgresPrograms programs)
    {
        string parent = Path.GetDirectoryName(programs.BinDirectory)!;
        return s_places
            .Select(path => Path.Combine(parent, path))
            .FirstOrDefault(static path => Exists(path, "libpqwalreceiver"));
    }
}
