using SmcDr.Core.ObjectStores;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Spilling;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Sites;

/// <summary>
/// Whether a stream on this host, by this account, could spill: the day on which it must is the wrong one to find out. Looks only, since the directory may
/// be in use.
/// </summary>
internal sealed class SpillChecks(Site site, string path, TimeProvider clock)
{
    public Task<CheckResult> RunAsync() =>
        new CheckRun(path, clock).CheckAsync("SpillDirectory", () => Task.FromResult(Check()));

    private CheckFinding Check()
    {
        try
        {
            if (!Directory.Exists(path))
            {
                return CheckMissing();
            }

            if (!OperatingSystem.IsWindows() && FindRefusal() is { } refused)
            {
                return refused;
            }

            SpillContent content = SpillDirectory.Look(path);
            List<string> problems = [.. Places(), .. FindLack(content.Bytes)];
            if (content.Count > 0)
            {
                string whose = content.Identity is { } identity ? $" of the database cluster {identity.SystemId}, for {identity.Location}," : "";
                return CheckFinding.Warning(
                    Join(
                        [
                            $"{DisplayText.Size(content.Bytes)} of WAL{whose} have been on this host only since {DisplayText.Time(content.Since)}, and are to be " +
                                "brought to the repository.",
                            .. problems,
                        ]),
                    "Look why the repository does not take WAL. Where no stream runs, start one on this host: it brings them.");
            }

            return problems.Count == 0
                ? CheckFinding.Passed($"{Owner()} Nothing is spilled, and {DisplayText.Size(Limit)} may be.")
                : CheckFinding.Warning(Join(problems), "Name a directory of a file system of its own by walStream.spillDirectory, with room for walStream.spillLimit.");
        }
        catch (Exception e) when (DirectoryObjectStore.IsFileSystemError(e))
        {
            return CheckFinding.Failed($"'{path}' cannot be looked at: {e.Message}", Remedy);
        }
    }

    private const string Remedy =
        "Let the account that streams own the directory, with mode 700, on a file system that it can write; and run this check as that account.";

    private long Limit => site.WalStream.SpillLimit ?? new WalReceiverOptions().SpillLimit;

    private CheckFinding CheckMissing()
    {
        if (File.Exists(path))
        {
            return CheckFinding.Failed($"'{path}' is a file.", "Name a directory by walStream.spillDirectory.");
        }

        string above = FileSystems.Existing(path);
        if (!OperatingSystem.IsWindows() && !Posix.MayWrite(above))
        {
            return CheckFinding.Failed($"'{path}' does not exist, and this account may not make it in '{above}'.", Remedy);
        }

        List<string> problems = [.. Places(), .. FindLack(0)];
        return problems.Count == 0
            ? CheckFinding.Passed($"It does not exist yet, and the stream can make it. {DisplayText.Size(Limit)} may be spilled.")
            : CheckFinding.Warning(Join(problems), "Name a directory of a file system of its own by walStream.spillDirectory, with room for walStream.spillLimit.");
    }

    private CheckFinding? FindRefusal()
    {
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        uint owner = Posix.GetOwner(path).User;
        return !Posix.IsRoot && owner != Posix.UserId
            ? CheckFinding.Failed($"'{path}' belongs to {NameOf(owner)}, and this account is {NameOf(Posix.UserId)}.", Remedy)
            : !Posix.MayWrite(path) ? CheckFinding.Failed($"This account may not write in '{path}'.", Remedy)
            : null;
    }

    /// <summary>What else fills, or is filled by, the file system of the spill.</summary>
    private IEnumerable<string> Places()
    {
        string own = FileSystems.Identity(path);
        if (ObjectStoreLocation.Parse(site.Repository.Location) is DirectoryLocation repository && FileSystems.Identity(repository.Path) == own)
        {
            yield return "It is on the file system of the repository, so that both are full at once.";
        }

        if (site.PrimaryRegion.Database?.DataDirectory is { } data && FileSystems.Identity(data) == own)
        {
            yield return "It is on the file system of the database, which it is to keep from filling.";
        }
    }

    private IEnumerable<string> FindLack(long used)
    {
        long room = Math.Max(0, SpillingObjectStore.RoomOf(path));
        if (Limit - used > room)
        {
            yield return $"{DisplayText.Size(Limit - used)} more may be spilled, and there is room for {DisplayText.Size(room)}, apart from what is left to others.";
        }
    }

    private string Owner() => OperatingSystem.IsWindows() ? "" : $"It belongs to {NameOf(Posix.GetOwner(path).User)}.";

    private static string NameOf(uint user) => OperatingSystem.IsLinux() && new AccountNames().UserName(user) is { } name ? $"'{name}'" : $"user {user}";

    private static string Join(IEnumerable<string> sentences) => string.Join(' ', sentences);
}
