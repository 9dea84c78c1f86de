using System.Globalization;
using System.Text;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>Finds out what a pod with a database's volume has: where the data directory is, whose, with how much room, and PostgreSQL's programs.</summary>
internal static class VolumeInspection
{
    // The arguments are directories. What looks like a data directory in each, and what the image says.
    private const string FindScript = """
        echo "pgdata=$PGDATA"
        for m in "$@"; do
          for f in "$m"/PG_VERSION "$m"/*/PG_VERSION "$m"/*/*/PG_VERSION "$m"/*/*/*/PG_VERSION; do
            [ -d "${f%/*}/global" ] && [ -d "${f%/*}/base" ] && echo "found=${f%/*}"
          done
        done
        exit 0
        """;

    // $1 the data directory, $2 the folder beside it that recoveries work in.
    private const string LookScript = """
        d=$1 s=$2
        say() { printf '%s=%s\n' "$1" "$2"; }
        say uid "$(id -u)"
        h=no
        for f in "$d"/* "$d"/.[!.]*; do
          [ -e "$f" ] || [ -L "$f" ] || continue
          case ${f##*/} in lost+found|smcdr.*) ;; *) h=yes; break ;; esac
        done
        say data "$h"
        if [ -f "$d/PG_VERSION" ]; then
          say owner "$(stat -c %u:%g "$d/PG_VERSION")"
        elif [ -d "$d" ]; then
          say owner "$(stat -c %u:%g "$d")"
        fi
        say postgres "$(id -u postgres 2>/dev/null):$(id -g postgres 2>/dev/null)"
        e=${s%/*}
        while [ ! -d "$e" ]; do e=${e%/*}; done
        [ ! -w "${e:-/}" ] || say writable yes
        x=$(df -Pk "${e:-/}" | tail -n 1)
        set -- $x
        say available "$4"
        x=$(du -sk "$s" 2>/dev/null) || x=0
        say state "${x%%[!0-9]*}"
        for b in "$(pg_config --bindir 2>/dev/null)" "$(dirname "$(command -v postgres 2>/dev/null || echo /none/x)")" \
            /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/bin /usr/local/pgsql/bin /opt/bitnami/postgresql/bin; do
          [ -x "$b/postgres" ] && [ -x "$b/pg_ctl" ] || continue
          say server "$("$b/postgres" --version 2>/dev/null) $b"
          [ -n "$c" ] || c=$b
        done
        if [ "$(id -u)" = 0 ]; then
          if setpriv --reuid 1 --regid 1 --clear-groups true 2>/dev/null; then say runas setpriv
          elif gosu 1:1 true 2>/dev/null; then say runas gosu
          elif su-exec 1:1 true 2>/dev/null; then say runas su-exec
          fi
        fi
        for f in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
          [ ! -f "$f" ] || say memory "$(cat "$f")"
        done
        for f in "$d"/pg_tblspc/*; do
          [ ! -L "$f" ] || say tablespace "$(readlink "$f")"
        done
        [ -z "$c" ] || [ ! -f "$d/global/pg_control" ] || say system "$(LC_ALL=C "$c/pg_controldata" "$d" 2>/dev/null | grep '^Database system identifier:')"
        [ ! -f "$s/journal" ] || say journal "$(base64 < "$s/journal" | tr -d '\n')"
        exit 0
        """;

    /// <summary>Looks at a volume.</summary>
    /// <param name="shell">A pod that has it.</param>
    /// <param name="workload">The workload that it belongs to.</param>
    /// <param name="isHelper">Whether the pod is a helper, which sees whole volumes.</param>
    /// <param name="major">The major version that is needed.</param>
    /// <param name="force">Whether a journal that cannot be read counts as none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.WorkloadUnsuitable"/>: nothing can be restored there.</exception>
    public static async Task<(PodPlace Place, ulong? SystemId)> LookAsync(
        PodShell shell, DatabaseWorkload workload, bool isHelper, int major, bool force, CancellationToken cancellationToken)
    {
        string declared = await FindAsync(shell, workload, cancellationToken).ConfigureAwait(false);
        (string path, bool isRoot) = workload.Locate(declared)!.Value;
        // The container itself does not see beside what is mounted of a volume.
        string here = isHelper ? path : declared;
        ILookup<string, string> said = Parse(await shell.RunAsync(
            "Looking at the volume", LookScript, cancellationToken, here, PodPlace.StateOf(here, isRoot)).ConfigureAwait(false));
        bool isPrivileged = said["uid"].First() == "0";
        string? owner = !isPrivileged ? null : Owner(said["owner"].FirstOrDefault()) ?? Owner(said["postgres"].FirstOrDefault()) ?? throw Unsuitable(
            workload, $"Whose the data directory '{declared}' is to be cannot be told: the image has no user 'postgres', and the directory is root's.");
        string? runAs = said["runas"].FirstOrDefault();
        if (isPrivileged && runAs is null)
        {
            throw Unsuitable(
                workload,
                $"The container '{workload.Container}' runs as root, and its image has no program to run PostgreSQL's as another user (setpriv, gosu or su-exec).",
                "Let the container run as PostgreSQL's user (securityContext.runAsUser and fsGroup).");
        }

        if (isHelper && !said["writable"].Any())
        {
            throw Unsuitable(
                workload,
                $"The account of the container '{workload.Container}' may not write beside the data directory '{declared}', where the recovered one has to lie first.",
                "Set fsGroup in the pod's securityContext to the group of the data directory, so that the volume's root can be written to.");
        }

        (string bin, int found) = Programs(said["server"], major) ?? throw new SmcException(
            SmcErrorCode.WorkloadUnsuitable,
            string.Create(CultureInfo.InvariantCulture, $"The image '{workload.Image}' of '{workload.Name}' has no PostgreSQL {major}, of which the backup is{(said["server"].Any() ? $": it has {string.Join(", ", said["server"].Select(static text => KubeText.Clean(text, 60)))}" : "")}."),
            recommendation: "Give the workload an image of the backup's major version for the time of the recovery.",
            target: workload.Name.ToString());
        string state = PodPlace.StateOf(here, isRoot);
        RecoveryProgress? journal = null;
        if (said["journal"].FirstOrDefault() is { Length: > 0 } text)
        {
            try
            {
                journal = PodRecoveryState.Read(Encoding.UTF8.GetString(Convert.FromBase64String(text)), state + "/journal");
            }
            catch (SmcException) when (force)
            {
                // Begun anew.
            }
        }

        long? memory = said["memory"].Select(static value => long.TryParse(value, CultureInfo.InvariantCulture, out long bytes) ? bytes : 0)
            .Where(static bytes => bytes is > 0 and < 1L << 50).Select(static bytes => (long?)bytes).FirstOrDefault() ?? workload.MemoryLimit;
        PodPlace place = new()
        {
            Shell = shell,
            DataDirectory = path,
            IsVolumeRoot = isRoot,
            HasData = said["data"].First() == "yes",
            Owner = owner,
            RunAs = owner is null ? "" : runAs == "setpriv"
                ? $"setpriv --reuid {owner.Split(':')[0]} --regid {owner.Split(':')[1]} --clear-groups"
                : $"{runAs} {owner}",
            BinDirectory = bin,
            Major = found,
            MemoryLimit = memory,
            AvailableBytes = Kilobytes(said["available"].FirstOrDefault()),
            StateBytes = Kilobytes(said["state"].FirstOrDefault()),
            Tablespaces = [.. said["tablespace"]],
            Journal = journal,
        };
        string? system = said["system"].FirstOrDefault();
        return (place, ulong.TryParse(system?[(system.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim(), CultureInfo.InvariantCulture, out ulong id) ? id : null);
    }

    private static async Task<string> FindAsync(PodShell shell, DatabaseWorkload workload, CancellationToken cancellationToken)
    {
        ILookup<string, string> said = Parse(await shell.RunAsync(
            "Looking for the data directory", FindScript, cancellationToken, [.. workload.Claims.Select(static mount => mount.MountPath)]).ConfigureAwait(false));
        foreach (string? declared in new[] { workload.Variable("PGDATA"), said["pgdata"].FirstOrDefault() })
        {
            if (declared is { Length: > 1 } && declared.StartsWith('/') && workload.Locate(declared) is not null)
            {
                return declared.TrimEnd('/');
            }
        }

        // What recoveries have left lies beside it.
        string[] found =
        [
            .. said["found"].Where(static path => !path.Contains(".smcdr/", StringComparison.Ordinal) && !path.Contains(".before-", StringComparison.Ordinal) &&
                !path.Contains("/smcdr.", StringComparison.Ordinal)).Distinct(),
        ];
        return found.Length == 1 ? found[0] : throw Unsuitable(
            workload,
            found.Length == 0
                ? $"The variable PGDATA of the container '{workload.Container}' names no directory on a volume claim, and none is found there."
                : $"The container '{workload.Container}' has several data directories on its volume claims: {string.Join(", ", found)}.",
            "Set PGDATA in the container's env to the data directory.");
    }

    private static (string Directory, int Major)? Programs(IEnumerable<string> servers, int major)
    {
        foreach (string server in servers)
        {
            // postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1) /usr/lib/postgresql/15/bin
            string version = server.Split("(PostgreSQL) ", 2) is [_, { } rest] ? rest : "";
            string number = string.Concat(version.TakeWhile(char.IsAsciiDigit));
            if (int.TryParse(number, CultureInfo.InvariantCulture, out int found) && found == major)
            {
                return (server[(server.LastIndexOf(' ') + 1)..], found);
            }
        }

        return null;
    }

    private static ILookup<string, string> Parse(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(static line => line.Split('=', 2))
        .Where(static pair => pair.Length == 2)
        .ToLookup(static pair => pair[0], static pair => pair[1], StringComparer.Ordinal);

    // Root owns nothing that a server could use.
    private static string? Owner(string? text) =>
        text?.Split(':') is [{ Length: > 0 } user, { Length: > 0 } group] && user != "0" && user.All(char.IsAsciiDigit) && group.All(char.IsAsciiDigit) ? text : null;

    private static long Kilobytes(string? text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number << 10 : 0;

    private static SmcException Unsuitable(DatabaseWorkload workload, string message, string? recommendation = null) =>
        new(SmcErrorCode.WorkloadUnsuitable, message, recommendation: recommendation, target: workload.Name.ToString());
}
