using System.Globalization;
using System.Text;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Recovery;

/// <summary>A folder of this host with staged WAL.</summary>
/// <param name="directory">The folder.</param>
/// <param name="account">The server's account, where that is not ours.</param>
internal sealed class HostStagingFolder(string directory, OsAccount? account) : IStagingFolder
{
    private const UnixFileMode FileMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    public Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<string>>([.. Directory.GetFiles(directory).Select(static path => Path.GetFileName(path))]);

    public Task WriteAsync(string name, string content, CancellationToken cancellationToken)
    {
        RecoveryScripts.WriteDurably(PathOf(name), Encoding.UTF8.GetBytes(content), FileMode);
        Give(PathOf(name));
        return Task.CompletedTask;
    }

    public Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        File.Delete(PathOf(name));
        return Task.CompletedTask;
    }

    public async Task FetchAsync(WalArchive archive, WalItem item, CancellationToken cancellationToken)
    {
        string arriving = PathOf(".arriving-" + item.Name);
        await archive.FetchAsync(item, arriving, cancellationToken).ConfigureAwait(false);
        Give(arriving, account?.UserId);
        File.Move(arriving, PathOf(item.Name.ToString()), overwrite: true);
    }

    public async Task BeatAsync(long beat, CancellationToken cancellationToken)
    {
        string temporary = PathOf(RecoveryScripts.HeartbeatName + "-tmp");
        await File.WriteAllTextAsync(
            temporary, string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId} {beat}\n"), cancellationToken).ConfigureAwait(false);
        Give(temporary);
        File.Move(temporary, PathOf(RecoveryScripts.HeartbeatName), overwrite: true);
    }

    public Task SyncAsync(CancellationToken cancellationToken)
    {
        Posix.SyncDirectory(directory);
        return Task.CompletedTask;
    }

    /// <summary>Lets the server's group read a file of ours, or gives the file away.</summary>
    /// <param name="path">The file.</param>
    /// <param name="owner">
    /// Whose it is from now on; null = ours. A segment is the server's, which gives it a second name: of other people's files Linux forbids that
    /// (fs.protected_hardlinks).
    /// </param>
    private void Give(string path, uint? owner = null)
    {
        if (!OperatingSystem.IsWindows())
        {
            if (Posix.IsRoot && account is not null)
            {
                Posix.SetOwner(path, owner ?? 0, account.GroupId);
            }

            File.SetUnixFileMode(path, FileMode);
        }
    }

    private string PathOf(string name) => Path.Combine(directory, name);
}
