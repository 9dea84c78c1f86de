namespace SmcDr.Core.Schedules;

/// <summary>
/// Keeps a task of a site from running beside itself on one host. systemd and Kubernetes see to that by themselves; cron does not. The system lets go
/// of the lock with
/// the process, however that ends.
/// </summary>
public sealed class TaskHold : IDisposable
{
    private readonly FileStream? _file;

    private TaskHold(FileStream? file) => _file = file;

    /// <summary>
    /// Takes it; null where it is taken. Without a directory that can be written to there is nothing to take, and work is not kept from being done
    /// for that.
    /// </summary>
    /// <param name="directory">The directory of SmcDr's state; null = there is none.</param>
    /// <param name="site">The site.</param>
    /// <param name="task">The task.</param>
    public static TaskHold? TryTake(string? directory, string site, string task)
    {
        if (directory is null)
        {
            return new TaskHold(null);
        }

        string path = PathOf(directory, site, task);
        try
        {
            Directory.CreateDirectory(directory);
            FileStream file = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            File.SetLastWriteTimeUtc(file.SafeFileHandle, DateTime.UtcNow);
            return new TaskHold(file);
        }
        catch (UnauthorizedAccessException)
        {
            return new TaskHold(null);
        }
        catch (IOException)
        {
            // The file is there where somebody else has it; where it cannot be made at all, the disk is full or the directory is read only.
            return File.Exists(path) ? null : new TaskHold(null);
        }
    }

    /// <summary>Since when it is taken, by the clock of the host; null where that is not known.</summary>
    /// <param name="directory">The directory of SmcDr's state; null = there is none.</param>
    /// <param name="site">The site.</param>
    /// <param name="task">The task.</param>
    public static DateTimeOffset? FindSince(string? directory, string site, string task) =>
        directory is not null && new FileInfo(PathOf(directory, site, task)) is { Exists: true } file ? file.LastWriteTimeUtc : null;

    public void Dispose() => _file?.Dispose();

    private static string PathOf(string directory, string site, string task) => Path.Combine(directory, $"schedule-{site}-{task}.lock");
}
