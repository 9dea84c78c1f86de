using System.Text;
using System.Text.Json;
using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// The state of a recovery on a volume. It travels with the data, so that another operator elsewhere goes on. That nobody else is at it, the helper pod
/// makes sure, of which there can be one.
/// </summary>
internal sealed class PodRecoveryState : IRecoveryState
{
    private const string JournalName = "journal";

    // $1 the folder, $2 the line. A line may come twice where the connection broke: it says the same.
    private const string AppendScript = """
        printf '%s\n' "$2" >> "$1/journal" || exit 74
        sync "$1/journal" 2>/dev/null || sync
        """;

    // $1 the folder, $2 the server's user and group or nothing. As root, what steers the recovery belongs to root and can only be read by the server's
    // group.
    private const string FoldersScript = """
        umask 077
        for d in "$1/wal" "$1/server"; do mkdir -p "$d" || exit 74; done
        if [ -n "$2" ]; then
          chown "0:${2#*:}" "$1" "$1/wal" && chmod 750 "$1" "$1/wal" && chown "$2" "$1/server" || exit 77
        fi
        """;

    private readonly PodPlace _place;

    private PodRecoveryState(PodPlace place, RecoveryProgress progress) => (_place, Progress) = (place, progress);

    public string Root => _place.StateDirectory;

    public string NewDirectory => Root + "/new";

    public string StagingDirectory => $"{Root}/{RecoveryScripts.StagingName}";

    public string ServerDirectory => Root + "/server";

    public RecoveryProgress Progress { get; private set; }

    /// <summary>Reads a journal; null where there is none.</summary>
    /// <param name="text">What is in the file.</param>
    /// <param name="path">The file, for messages.</param>
    public static RecoveryProgress? Read(string text, string path)
    {
        if (text.Length == 0)
        {
            return null;
        }

        RecoveryProgress progress = new();
        // What follows the last line end was cut off, and is no line.
        foreach (string line in text.Split('\n')[..^1].Where(static line => line.Length > 0))
        {
            try
            {
                progress.Apply(JsonSerializer.Deserialize(line, RecoveryJson.Default.RecoveryJournalEntry)!);
            }
            catch (JsonException e)
            {
                throw new SmcException(
                    SmcErrorCode.RecoveryFailed,
                    $"The journal '{path}' is damaged, so the interrupted recovery cannot be continued.",
                    e,
                    "Run the command again with -Force: what is in the data directory is moved aside, and the recovery begins anew.",
                    path);
            }
        }

        return progress;
    }

    /// <summary>Opens the folder, creating it where it is missing.</summary>
    public static async Task<PodRecoveryState> OpenAsync(PodPlace place, RecoveryProgress? journal, CancellationToken cancellationToken)
    {
        PodRecoveryState state = new(place, journal ?? new RecoveryProgress());
        await place.Shell.RunAsync(
            $"Making '{state.Root}'",
            // A line that was cut off must not become the beginning of the next.
            """
            umask 077
            mkdir -p "$1" || exit 74
            [ ! -s "$1/journal" ] || [ "$(tail -c 1 "$1/journal" | wc -l)" -eq 1 ] || { sed '$d' "$1/journal" > "$1/journal.tmp" && mv -f "$1/journal.tmp" "$1/journal"; }
            """,
            cancellationToken,
            state.Root).ConfigureAwait(false);
        return state;
    }

    public async Task AppendAsync(RecoveryJournalEntry entry, CancellationToken cancellationToken)
    {
        string line = Encoding.UTF8.GetString(JsonSerializer.SerializeToUtf8Bytes(entry, RecoveryJson.Default.RecoveryJournalEntry));
        await _place.Shell.RunAsync($"Writing the journal '{Root}/{JournalName}'", AppendScript, cancellationToken, Root, line).ConfigureAwait(false);
        Progress.Apply(entry);
    }

    public async Task ResetAsync(CancellationToken cancellationToken)
    {
        await _place.Shell.RunAsync(
            $"Removing what is left of an earlier recovery in '{Root}'",
            """rm -f "$1/journal" && sync "$1" 2>/dev/null; rm -rf "$1/new" "$1/wal" "$1/server" && rm -f "$1"/notes-* "$1"/.part-*""",
            cancellationToken,
            Root).ConfigureAwait(false);
        Progress = new RecoveryProgress();
    }

    public Task CreateFoldersAsync(CancellationToken cancellationToken) =>
        _place.Shell.RunAsync($"Making folders in '{Root}'", FoldersScript, cancellationToken, Root, _place.Owner ?? "");
}
