using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace SmcDr.Core.Platform;

/// <summary>The processes of this host as <c>/proc</c> shows them (proc(5)); none on a system that has no such thing.</summary>
internal static class ProcessTable
{
    /// <summary>The place of proc(5).</summary>
    public const string Root = "/proc";

    private const int NoSuchProcess = 3;

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

    /// <summary>The present boot of this host; null where that is not to be seen.</summary>
    public static string? ReadBoot()
    {
        try
        {
            return IsPresent ? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim() : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// The boot of the kernel, and the namespace in which the number of this process means something: a container has numbers of its own. Null where that is
    /// not to be seen.
    /// </summary>
    public static string? ReadKernel()
    {
        try
        {
            return ReadBoot() is { } boot && new FileInfo("/proc/self/ns/pid").LinkTarget is { } numbers ? $"{boot} {numbers}" : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>When a process began, as its kernel counts it: a number of a process is given again. Null where no such process can be seen.</summary>
    public static string? ReadStart(int id) => ReadLife(id, Root) is { HasEnded: false } found ? found.Start : null;

    /// <summary>Whether the process that had a number and began at a time (<see cref="ReadStart"/>) surely is no more.</summary>
    /// <param name="id">Its number.</param>
    /// <param name="start">When it began.</param>
    /// <param name="root">The place of proc(5).</param>
    public static bool IsGone(int id, string start, string root = Root) =>
        // A host may hide the processes of other accounts (hidepid, ProtectProc=), and hidden is not dead.
        ReadLife(id, root) is { } found ? found.HasEnded || found.Start != start
            : LinuxCalls.kill(id, 0) != 0 && Marshal.GetLastPInvokeError() == NoSuchProcess;

    /// <summary>When a process began, and whether it has ended and was not waited for, which is dead as well; null where it cannot be seen.</summary>
    private static (string Start, bool HasEnded)? ReadLife(int id, string root)
    {
        try
        {
            // Field 22 of proc(5)'s stat, counted behind the name, which may hold anything.
            string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"{root}/{id}/stat"), Encoding.Latin1);
            string[] fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return fields.Length > 19 ? (fields[19], fields[0] is "Z" or "X") : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The directory that a process works in; null where it ended or is somebody else's.</summary>
    public static string? WorkingDirectory(int id) => LinkTarget(id, "cwd");

    /// <summary>The program that a process runs; null where it ended or is somebody else's.</summary>
    public static string? Executable(int id) => LinkTarget(id, "exe");

    /// <summary>The words that a process was started with; none where it ended or is somebody else's.</summary>
    public static string[] CommandLine(int id)
    {
        try
        {
            return File.ReadAllText(PathOf(id, "cmdline")).Split('\0');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

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
