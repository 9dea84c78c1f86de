using System.Globalization;

namespace SmcDr.Core.Platform;

/// <summary>The processes of this host as <c>/proc</c> shows them (proc(5)); none on a system that has no such thing.</summary>
internal static class ProcessTable
{
    /// <summary>Whether there is one.</summary>
    public static bool IsPresent => Directory.Exists("/proc/self");

    /// <summary>The ids of all processes.</summary>
    public static IEnumerable<int> Ids()
    {
        if (!IsPresent)
        {
            yield break;
        }

        foreach (string path in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(path.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out int id))
            {
                yield return id;
            }
        }
    }

    /// <summary>A process's folder, or something in it.</summary>
    public static string PathOf(int id, string name = "") => string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/{name}");

    /// <summary>The directory that a process works in; null where it ended or is somebody else's.</summary>
    public static string? WorkingDirectory(int id) => LinkTarget(id, "cwd");

    /// <summary>The program that a process runs; null where it ended or is somebody else's.</summary>
    public static string? Executable(int id) => LinkTarget(id, "exe");

    /// <summary>The name of a process and its state.</summary>
    /// <exception cref="IOException">It ended.</exception>
    public static (string Name, char State) ReadState(int id)
    {
        (string name, string[] fields) = ReadFields(id);
        return (name, fields[0][0]);
    }

    /// <summary>The name of a process, and what follows it in <c>stat</c>: state, parent and so on.</summary>
    /// <exception cref="IOException">It ended.</exception>
    public static (string Name, string[] Fields) ReadFields(int id)
    {
        // "id (name) state …", and the name may hold blanks and parentheses (proc(5)).
        string stat = File.ReadAllText(PathOf(id, "stat"));
        int close = stat.LastIndexOf(')');
        return (stat[(stat.IndexOf('(', StringComparison.Ordinal) + 1)..close], stat[(close + 2)..].Split(' '));
    }

    private static string? LinkTarget(int id, string name)
    {
        try
        {
            return File.ResolveLinkTarget(PathOf(id, name), returnFinalTarget: false)?.FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
