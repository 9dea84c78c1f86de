using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// What a restore of Redis does on the volume while no server is at it, phase by phase: the same as <see cref="OfflineRun"/> does in a directory of this host,
/// and with the same journal. Each can be begun again from any moment at which it was interrupted.
/// </summary>
internal sealed class RedisPodRun(RedisPodVolume volume, OfflineJournal journal, RedisPodRestoreOptions options, IOperationObserver observer)
{
    private const string PrivateFile = "600";
    private const string PrivateDirectory = "700";

    // $1 the data directory, $2 what was fetched, $3 its later name, $4 what names get that are set aside, $5 what those get that somebody has made since;
    // behind them the names. As long as what was fetched is there under its first name, not all is done.
    private const string ExchangeScript = """
        cd "$1" || exit 72
        s=$2 p=$3 a=$4 m=$5
        shift 5
        there() { [ -e "$1" ] || [ -L "$1" ]; }
        if there "$s"; then
          for n in "$@"; do
            there "$n" || continue
            t=$n$a
            ! there "$t" || t=$n$m
            ! there "$t" || exit 73
            mv -- "$n" "$t" || exit 74
          done
          sync . 2>/dev/null || sync
          mv -- "$s" "$p" || exit 74
        fi
        there "$p" || exit 72
        sync . 2>/dev/null || sync
        """;

    // $1 the data directory, $2 and $3 what was fetched, $4 its later name, or nothing where it does not have it; $5 what names have that are aside, $6 what
    // gets what was restored, $7 what gets what somebody has made since; behind them the names. May be run again.
    private const string UndoScript = """
        cd "$1" || exit 72
        s=$2 t=$3 p=$4 a=$5 r=$6 m=$7
        shift 7
        there() { [ -e "$1" ] || [ -L "$1" ]; }
        if [ -n "$p" ] && there "$p" && ! there "$p$r"; then mv -- "$p" "$p$r" || exit 74; fi
        for n in "$@"; do
          there "$n$a" || continue
          if there "$n"; then ! there "$n$m" || exit 73; mv -- "$n" "$n$m" || exit 74; fi
          mv -- "$n$a" "$n" || exit 74
        done
        rm -rf -- "$s" "$t"
        sync . 2>/dev/null || sync
        """;

    private static readonly CompositeFormat s_suffix = CompositeFormat.Parse(".before-{0:yyyyMMdd'T'HHmmss'Z'}");

    /// <summary>How far it is.</summary>
    public OfflineJournal Journal { get; private set; } = journal;

    /// <summary>The keys that are compared when the server has loaded them; null where this run has not fetched the RDB, or it could not be read.</summary>
    public IReadOnlyList<SampledKey>? Sample { get; private set; }

    /// <summary>Whether this run has fetched the RDB.</summary>
    public bool HasFetched { get; private set; }

    /// <summary>Where what the server had before lies; empty where it had nothing.</summary>
    public IReadOnlyList<string> Previous => [.. Journal.Aside.Select(name => $"{volume.Directory}/{name}{Journal.AsideSuffix}")];

    private OfflineLayout Layout => Journal.Layout;

    private string StagedName => Layout.IsDirectory ? OfflineNames.AppendDirectoryName : OfflineNames.FileName;

    private string RestoredSuffix => Journal.AsideSuffix.Replace(".before-", ".restored-", StringComparison.Ordinal);

    private string MeanwhileSuffix => Journal.AsideSuffix.Replace(".before-", ".meanwhile-", StringComparison.Ordinal);

    /// <summary>A suffix that nothing on the volume has.</summary>
    public static string CreateSuffix(RedisPodVolume volume, OfflineLayout layout, DateTimeOffset time)
    {
        string stem = string.Format(CultureInfo.InvariantCulture, s_suffix, time.UtcDateTime);
        string suffix = stem;
        for (int i = 2; layout.Names.Any(name => volume.Has(name + suffix)); i++)
        {
            suffix = string.Create(CultureInfo.InvariantCulture, $"{stem}-{i}");
        }

        return suffix;
    }

    /// <summary>Brings the RDB to the volume, hashed by both ends and its checksum proven.</summary>
    public async Task FetchAsync(BackupReader backup, CancellationToken cancellationToken)
    {
        if (Journal.Phase >= OfflinePhase.Fetched)
        {
            return;
        }

        await SaveAsync(Journal, cancellationToken).ConfigureAwait(false);
        await volume.Shell.RunAsync(
            $"Preparing '{volume.Directory}'",
            """
            cd "$1" && rm -rf -- "$2" "$3" "$2".smcdr-*.part || exit 74
            [ -z "$4" ] || (umask 077; mkdir -- "$3") || exit 74
            """,
            cancellationToken,
            volume.Directory, OfflineNames.FileName, OfflineNames.AppendDirectoryName, Layout.IsDirectory ? "1" : "").ConfigureAwait(false);
        string folder = $"{volume.Directory}/{OfflineNames.AppendDirectoryName}";
        string? owner = volume.OwnerOf(Layout.PlacedName);
        if (Layout.IsDirectory)
        {
            await UploadAsync(backup, $"{folder}/{Layout.BaseFileName}", cancellationToken).ConfigureAwait(false);
            await volume.Shell.WriteAsync($"{folder}/{Layout.IncrementFileName}", default, PrivateFile, owner, cancellationToken).ConfigureAwait(false);
            await volume.Shell.WriteAsync(
                $"{folder}/{Layout.ManifestFileName}", Encoding.UTF8.GetBytes(Layout.Manifest), PrivateFile, owner, cancellationToken).ConfigureAwait(false);
            await GiveAsync($"{folder}/{Layout.BaseFileName}", PrivateFile, owner, cancellationToken).ConfigureAwait(false);
            await GiveAsync(folder, volume.ModeOf(Layout.PlacedName) ?? PrivateDirectory, owner, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            string path = $"{volume.Directory}/{OfflineNames.FileName}";
            await UploadAsync(backup, path, cancellationToken).ConfigureAwait(false);
            await GiveAsync(path, volume.ModeOf(Layout.PlacedName) ?? PrivateFile, owner, cancellationToken).ConfigureAwait(false);
        }

        await SaveAsync(
            Journal with { Phase = OfflinePhase.Fetched, Aside = [.. Layout.Names.Where(volume.Has)] }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Moves aside what the server has, and gives what was fetched its name.</summary>
    public async Task ExchangeAsync(CancellationToken cancellationToken)
    {
        if (Journal.Phase >= OfflinePhase.Placed)
        {
            return;
        }

        await RunAsync(
            "Exchanging the files of Redis",
            ExchangeScript,
            [volume.Directory, StagedName, Layout.PlacedName, Journal.AsideSuffix, MeanwhileSuffix, .. Layout.Names],
            cancellationToken).ConfigureAwait(false);
        options.AfterStep?.Invoke("Exchanged");
        await SaveAsync(Journal with { Phase = OfflinePhase.Placed }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Puts back what the server had. What was restored, and a server may have written to since, is kept beside it.</summary>
    /// <returns>Where what was restored lies; null where it had not been put in place.</returns>
    public async Task<string?> UndoAsync(CancellationToken cancellationToken)
    {
        bool isPlaced = Journal.Phase >= OfflinePhase.Placed;
        await RunAsync(
            "Putting back what Redis had",
            UndoScript,
            [
                volume.Directory, OfflineNames.FileName, OfflineNames.AppendDirectoryName, isPlaced ? Layout.PlacedName : "", Journal.AsideSuffix,
                RestoredSuffix, MeanwhileSuffix, .. Layout.Names,
            ],
            cancellationToken).ConfigureAwait(false);
        await volume.Shell.RunAsync("Removing the journal", "rm -f -- \"$1\"", cancellationToken, volume.JournalPath).ConfigureAwait(false);
        return isPlaced ? $"{volume.Directory}/{Layout.PlacedName}{RestoredSuffix}" : null;
    }

    private async Task SaveAsync(OfflineJournal journal, CancellationToken cancellationToken)
    {
        await volume.Shell.WriteAsync(
            volume.JournalPath, JsonSerializer.SerializeToUtf8Bytes(journal, OfflineJson.Default.OfflineJournal), PrivateFile, null, cancellationToken)
            .ConfigureAwait(false);
        Journal = journal;
        options.AfterStep?.Invoke(journal.Phase.ToString());
    }

    private async Task UploadAsync(BackupReader backup, string path, CancellationToken cancellationToken)
    {
        ManifestEntry entry = RdbFile.Find(await backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false));
        RdbIntegrity integrity = new($"the backup '{backup.Header.Id}'");
        OfflineSample sample = new(OfflineSample.NameOf(backup), options.SampleSize);
        await using ConfiguredAsyncDisposable sampling = sample.ConfigureAwait(false);
        System.IO.Pipelines.Pipe pipe = RdbPipe.Create(2 * StreamedFileWriter.BlockSize);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task fetching = Task.Run(FetchAsync, CancellationToken.None);
        try
        {
            PodTransferResult result = await new PodTransfer(volume.Shell.Client, null, observer)
                .UploadAsync(pipe.Reader.AsStream(), entry.Size, volume.Shell.Target, path, cancellationToken).ConfigureAwait(false);
            await fetching.ConfigureAwait(false);
            (Sample, HasFetched) = (await sample.CompleteAsync(observer, cancellationToken).ConfigureAwait(false), true);
            observer.Verbose(string.Create(
                CultureInfo.InvariantCulture,
                $"The RDB of '{backup.Header.Id}' is on the volume: {DisplayText.Size(result.Length)}, {result.Breaks} broken connections."));
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await pipe.Reader.CompleteAsync().ConfigureAwait(false);
            await fetching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            observer.Progress(new OperationProgress(RedisOnlineRestore.Activity, "Fetched") { IsCompleted = true });
        }

        async Task FetchAsync()
        {
            Exception? failure = null;
            try
            {
                await DumpReader.ReadAsync(
                    backup,
                    entry,
                    async (part, token) =>
                    {
                        integrity.Append(part.Span);
                        observer.Progress(new OperationProgress(RedisOnlineRestore.Activity, "Fetching the backup", integrity.Length, entry.Size));
                        await sample.AppendAsync(part, token).ConfigureAwait(false);
                        return !(await pipe.Writer.WriteAsync(part, token).ConfigureAwait(false)).IsCompleted;
                    },
                    stop.Token).ConfigureAwait(false);
                integrity.Complete();
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.BackupInterrupted)
            {
                // What a transfer calls interrupted is damaged here.
                failure = new SmcException(SmcErrorCode.RdbInvalid, e.Message, e, target: backup.Header.Id);
            }
            catch (Exception e)
            {
                // Whoever reads is told.
                failure = e;
            }

            await pipe.Writer.CompleteAsync(failure).ConfigureAwait(false);
        }
    }

    private Task<string> GiveAsync(string path, string mode, string? owner, CancellationToken cancellationToken) => volume.Shell.RunAsync(
        $"Giving away '{path}'",
        """
        [ -z "$3" ] || chown -- "$3" "$1" || exit 77
        chmod -- "$2" "$1" || exit 77
        sync "$1" 2>/dev/null || sync
        """,
        cancellationToken,
        path, mode, owner ?? "");

    private async Task RunAsync(string what, string script, string[] arguments, CancellationToken cancellationToken)
    {
        ExecResult result = await volume.Shell.TryRunAsync(script, cancellationToken, arguments).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            string said = KubeText.Clean(result.Errors, 300);
            throw new SmcException(
                SmcErrorCode.RestoreUnfinished,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{what} in '{volume.Directory}' of the pod '{volume.Shell.Target}' failed with exit code {result.ExitCode}{(said.Length > 0 ? $": {said}" : "")}."),
                recommendation: "Look at what is on the volume; nothing on it was deleted.",
                target: volume.Directory);
        }
    }
}
