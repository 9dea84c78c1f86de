using System.Globalization;
using System.Text;
using System.Text.Json;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Redis.Offline;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>The data directory of a Redis as a pod that has its volume sees it, and what is in it.</summary>
internal sealed class RedisPodVolume
{
    // $1 the data directory, or nothing where it is the directory that the container works in. Behind it, files whose content is asked for.
    private const string LookScript = """
        say() { printf '%s=%s\n' "$1" "$2"; }
        w=$(pwd)
        d=${1:-$w}
        case $d in /*) ;; *) d=$w/$d ;; esac
        shift
        for f in "$@"; do
          case $f in /*) ;; *) f=$w/$f ;; esac
          [ ! -r "$f" ] || say file "$(base64 < "$f" | tr -d '\n')"
        done
        cd "$d" 2>/dev/null && d=$(pwd) || exit 72
        say directory "$d"
        say uid "$(id -u)"
        say owner "$(stat -c %u:%g .)"
        say redis "$(id -u redis 2>/dev/null):$(id -g redis 2>/dev/null)"
        [ ! -w . ] || say writable yes
        x=$(df -Pk . | tail -n 1)
        set -- $x
        say available "$4"
        for p in redis-server valkey-server keydb-server; do
          ! command -v "$p" >/dev/null 2>&1 || say version "$("$p" --version 2>/dev/null | head -n 1)"
        done
        for f in * .[!.]*; do
          [ -e "$f" ] || [ -L "$f" ] || continue
          say present "$(stat -c '%a %u:%g' "$f") $f"
        done
        [ ! -f smcdr-restore.journal ] || say journal "$(base64 < smcdr-restore.journal | tr -d '\n')"
        exit 0
        """;

    private const int NotThere = 72;

    private readonly Dictionary<string, (string Mode, string Owner)> _present = new(StringComparer.Ordinal);

    private RedisPodVolume(PodShell shell, string directory) => (Shell, Directory) = (shell, directory);

    /// <summary>Runs scripts in the pod.</summary>
    public PodShell Shell { get; }

    /// <summary>The data directory.</summary>
    public string Directory { get; }

    /// <summary>User and group of the server by number, where the container runs as root; null = those of the container.</summary>
    public string? Owner { get; private init; }

    /// <summary>Whether the account of the container may write there.</summary>
    public bool IsWritable { get; private init; }

    /// <summary>What is free on the volume, in bytes.</summary>
    public long AvailableBytes { get; private init; }

    /// <summary>The version of the image's program; null where it has none that says so.</summary>
    public string? Version { get; private init; }

    /// <summary>What an interrupted restore has noted; null where there was none.</summary>
    public OfflineJournal? Journal { get; private set; }

    /// <summary>The content of the files that were asked for and can be read.</summary>
    public IReadOnlyList<string> Files { get; private init; } = [];

    /// <summary>Where the journal is.</summary>
    public string JournalPath => $"{Directory}/{OfflineNames.JournalName}";

    /// <summary>Looks.</summary>
    /// <param name="shell">A pod that has the volume.</param>
    /// <param name="workload">The workload that it belongs to.</param>
    /// <param name="directory">The data directory as the container names it; null = the directory that it works in.</param>
    /// <param name="files">Files whose content is wanted.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.WorkloadUnsuitable"/>: the directory is not there. <see cref="SmcErrorCode.RestoreUnfinished"/>: there is a journal that cannot be read.
    /// </exception>
    public static async Task<RedisPodVolume> LookAsync(
        PodShell shell, DatabaseWorkload workload, string? directory, IReadOnlyList<string> files, CancellationToken cancellationToken)
    {
        ExecResult result = await shell.TryRunAsync(LookScript, cancellationToken, [directory ?? "", .. files]).ConfigureAwait(false);
        if (result.ExitCode == NotThere)
        {
            throw Unsuitable(workload, $"The data directory '{directory}' of Redis is not there in the pod '{shell.Target}'.");
        }

        if (result.ExitCode != 0)
        {
            throw new SmcException(
                SmcErrorCode.PodCommandFailed,
                string.Create(CultureInfo.InvariantCulture, $"Looking at the volume in the pod '{shell.Target}' failed with exit code {result.ExitCode}: {KubeText.Clean(result.Errors, 300)}."),
                target: shell.Target.ToString());
        }

        ILookup<string, string> said = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split('=', 2))
            .Where(static pair => pair.Length == 2)
            .ToLookup(static pair => pair[0], static pair => pair[1], StringComparer.Ordinal);
        string found = said["directory"].First();
        bool isPrivileged = said["uid"].First() == "0";
        RedisPodVolume volume = new(shell, found)
        {
            Owner = !isPrivileged ? null : Account(said["owner"].FirstOrDefault()) ?? Account(said["redis"].FirstOrDefault()),
            IsWritable = said["writable"].Any(),
            AvailableBytes = long.TryParse(said["available"].FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out long kibibytes) ? kibibytes << 10 : 0,
            Version = said["version"].Select(OfflineChecks.VersionIn).FirstOrDefault(static version => version is not null),
            Files = [.. said["file"].Select(static text => Encoding.UTF8.GetString(Convert.FromBase64String(text)))],
        };
        foreach (string[] parts in said["present"].Select(static line => line.Split(' ', 3)).Where(static parts => parts.Length == 3))
        {
            volume._present[parts[2]] = (parts[0], parts[1]);
        }

        volume.Journal = said["journal"].FirstOrDefault() is { Length: > 0 } journal ? volume.ReadJournal(Convert.FromBase64String(journal)) : null;
        return volume;
    }

    /// <summary>Refuses a data directory that goes with its pod.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.WorkloadUnsuitable"/>.</exception>
    public void ThrowIfNotOnClaim(DatabaseWorkload workload)
    {
        if (workload.Locate(Directory) is null)
        {
            throw Unsuitable(workload, $"Redis in '{workload.Name}' keeps its data in '{Directory}', which is on no volume claim: what was restored would go with its pod.");
        }
    }

    /// <summary>Whether there is something of a name in the directory.</summary>
    public bool Has(string name) => _present.ContainsKey(name);

    /// <summary>The mode of what has a name, in octal digits; null where there is nothing.</summary>
    public string? ModeOf(string name) => _present.TryGetValue(name, out (string Mode, string Owner) present) ? present.Mode : null;

    /// <summary>Whom a file is given to that takes the place of another, or is new.</summary>
    public string? OwnerOf(string name) => Owner is not null && _present.TryGetValue(name, out (string Mode, string Owner) present)
        ? Account(present.Owner) ?? Owner
        : Owner;

    private OfflineJournal ReadJournal(byte[] content)
    {
        try
        {
            OfflineJournal journal = JsonSerializer.Deserialize(content, OfflineJson.Default.OfflineJournal) ?? throw new JsonException();
            // Whoever may write to the volume could have named anything.
            bool isPlain = journal.Layout.Names.Concat(journal.Aside).Append(journal.AsideSuffix).All(static name =>
                name.Length > 0 && !name.Contains('/', StringComparison.Ordinal) && name is not ("." or ".."));
            return isPlain ? journal : throw new JsonException();
        }
        catch (JsonException e)
        {
            throw new SmcException(
                SmcErrorCode.RestoreUnfinished,
                $"An earlier restore left the journal '{JournalPath}' on the volume, which cannot be read.",
                e,
                "Look at the names beside it: what ends with .before- and a time is what the server had. Put it back by hand where the server lacks it, remove the journal, and run the command again.",
                JournalPath);
        }
    }

    // Root's is nothing that a server could use.
    private static string? Account(string? text) =>
        text?.Split(':') is [{ Length: > 0 } user, { Length: > 0 } group] && user != "0" && user.All(char.IsAsciiDigit) && group.All(char.IsAsciiDigit) ? text : null;

    private static SmcException Unsuitable(DatabaseWorkload workload, string message) =>
        new(SmcErrorCode.WorkloadUnsuitable, message, target: workload.Name.ToString());
}
