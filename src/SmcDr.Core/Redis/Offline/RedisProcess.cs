using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Redis.Offline;

/// <summary>A process of Redis, or of what is descended from it, on this host.</summary>
/// <param name="Id">Its id.</param>
/// <param name="StartTicks">When it began, in hundredths of a second since the host did: an id alone may be another process's by now.</param>
internal sealed record RedisProcess(int Id, long StartTicks)
{
    /// <summary>What times in <c>/proc</c> count, on every Linux (proc(5), sysconf(_SC_CLK_TCK)).</summary>
    private const double TicksPerSecond = 100;

    private const int Terminate = 15;
    private const int Kill = 9;

    // Behind the name: state is field 3 of proc(5), the parent 4, the start 22.
    private const int ParentField = 1;
    private const int StartField = 19;

    // How the programs begin: redis-server, redis-sentinel, the children that save, and Debian's program that is all of them.
    private static readonly string[] s_names = ["redis", "valkey", "keydb"];

    /// <summary>How long the process runs.</summary>
    public TimeSpan Age => TimeSpan.FromSeconds((HostTicks() - StartTicks) / TicksPerSecond);

    /// <summary>Whether it runs still. One that only waits to be reaped does not.</summary>
    public bool IsAlive => TryRead(Id) is { } present && present.StartTicks == StartTicks;

    /// <summary>The host's clock that <see cref="StartTicks"/> is of.</summary>
    public static long HostTicks()
    {
        // "seconds idle", with two decimals (proc(5)).
        string text = File.ReadAllText("/proc/uptime");
        return (long)(double.Parse(text.AsSpan(0, text.IndexOf(' ', StringComparison.Ordinal)), CultureInfo.InvariantCulture) * TicksPerSecond);
    }

    /// <summary>The process of an id, where it is one of Redis and lives.</summary>
    public static RedisProcess? TryRead(int id)
    {
        try
        {
            if (!IsNamedLikeRedis(id))
            {
                return null;
            }

            string[] fields = ProcessTable.ReadFields(id).Fields;
            return fields[0] is not ("Z" or "X")
                ? new RedisProcess(id, long.Parse(fields[StartField], CultureInfo.InvariantCulture))
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The oldest process of Redis that works in a directory, by whatever path or link it sees it; null where none does.</summary>
    public static RedisProcess? FindIn(DirectoryHandle directory)
    {
        FileStatus wanted = directory.GetStatus();
        return ProcessTable.Ids().Select(TryRead).OfType<RedisProcess>().Where(process => process.WorksIn(wanted)).MinBy(static process => process.StartTicks);
    }

    /// <summary>The account that it runs as.</summary>
    /// <exception cref="IOException">It ended.</exception>
    public (uint User, uint Group) ReadAccount() => (ReadEffectiveId("Uid:"), ReadEffectiveId("Gid:"));

    /// <summary>
    /// The unit of systemd that it belongs to, such as <c>redis-server.service</c>; null where none is its own. A session's or container's scope is none, nor
    /// is one of a user's own manager.
    /// </summary>
    public string? ReadUnit()
    {
        try
        {
            return ParseUnit(File.ReadAllText(ProcessTable.PathOf(Id, "cgroup")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>What started it, for messages: name and id of its parent; null where that is the first process of the host.</summary>
    public string? DescribeParent()
    {
        try
        {
            int parent = int.Parse(ProcessTable.ReadFields(Id).Fields[ParentField], CultureInfo.InvariantCulture);
            return parent <= 1 ? null : string.Create(CultureInfo.InvariantCulture, $"'{ProcessTable.ReadState(parent).Name}' (process {parent})");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Asks it to end (SIGTERM). One that is gone is no error.</summary>
    public void AskToEnd() => Send(Terminate);

    /// <summary>Ends it (SIGKILL). One that is gone is no error.</summary>
    public void End() => Send(Kill);

    /// <summary>The unit in the text of <c>/proc/…/cgroup</c>.</summary>
    internal static string? ParseUnit(string groups)
    {
        // "0::/system.slice/redis-server.service" (version 2), or a line for each controller, of which that of systemd counts (cgroups(7)).
        foreach (string line in groups.Split('\n'))
        {
            if (line.Split(':', 3) is [_, "" or "name=systemd", var path])
            {
                string[] parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
                return parts is ["system.slice", .., var last] && last.EndsWith(".service", StringComparison.Ordinal) ? last : null;
            }
        }

        return null;
    }

    /// <summary>All processes of the host are looked at many times a second while a server stops and starts, so that it must cost next to nothing.</summary>
    private static bool IsNamedLikeRedis(int id)
    {
        // At most 15 bytes and a line feed (proc(5)).
        Span<byte> name = stackalloc byte[64];
        using SafeFileHandle file = File.OpenHandle(ProcessTable.PathOf(id, "comm"));
        name = name[..RandomAccess.Read(file, name, fileOffset: 0)];
        foreach (string prefix in s_names)
        {
            if (name.Length >= prefix.Length && Ascii.EqualsIgnoreCase(name[..prefix.Length], prefix))
            {
                return true;
            }
        }

        return false;
    }

    private bool WorksIn(FileStatus wanted)
    {
        try
        {
            using DirectoryHandle work = DirectoryHandle.OpenRoot(ProcessTable.PathOf(Id, "cwd"));
            FileStatus status = work.GetStatus();
            return status.Inode == wanted.Inode && status.FileSystem == wanted.FileSystem;
        }
        catch (PosixException)
        {
            // It ended, or is somebody else's.
            return false;
        }
    }

    private uint ReadEffectiveId(string name)
    {
        // "Uid: real effective saved file system".
        string line = File.ReadLines(ProcessTable.PathOf(Id, "status")).First(line => line.StartsWith(name, StringComparison.Ordinal));
        return uint.Parse(line.Split('\t', StringSplitOptions.RemoveEmptyEntries)[2], CultureInfo.InvariantCulture);
    }

    private void Send(int signal)
    {
        const int NoSuchProcess = 3;
        if (IsAlive && LinuxCalls.kill(Id, signal) != 0 && Marshal.GetLastPInvokeError() is not NoSuchProcess and var error)
        {
            throw new PosixException(error, string.Create(CultureInfo.InvariantCulture, $"The process {Id} cannot be ended"));
        }
    }
}
